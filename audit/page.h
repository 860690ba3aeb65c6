/* The files of the exported page (audit/page/), built into the program. */
#ifndef AUDIT_PAGE_H
#define AUDIT_PAGE_H

#include <stddef.h>

struct page_file {
    const char *name; /* index.html stands in the export's root, scripts in page/ */
    const unsigned char *data;
    size_t size;
};

extern const struct page_file PAGE_FILES[];
extern const size_t PAGE_FILE_COUNT;

#endif
