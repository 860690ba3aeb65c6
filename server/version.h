/* The version of this software, as status and --version say it. */
#ifndef SERVER_VERSION_H
#define SERVER_VERSION_H

#ifndef CONCORDAT_VERSION
#error "the build defines CONCORDAT_VERSION"
#endif

#endif
