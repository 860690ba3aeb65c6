/* The version of this software, as `concordat version` says it. */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

#ifndef CONCORDAT_VERSION
#error "the build defines CONCORDAT_VERSION"
#endif

#endif
