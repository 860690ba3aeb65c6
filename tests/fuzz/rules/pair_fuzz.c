/* Targets: a contract and events for it, separated by a NUL: what the checker lets through, the
 * evaluator must carry within its bounds. */
#include "law.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rules_registry *registry;
    if (registry == NULL) {
        registry = rules_registry_default();
    }
    const uint8_t *end = size == 0 ? NULL : memchr(data, 0, size);
    size_t text = end == NULL ? size : (size_t)(end - data);
    struct rules_program *p = law_of(registry, data, text);
    if (p != NULL && text < size) {
        law_run(p, bytes_of(data + text + 1, size - text - 1));
    }
    rules_program_free(p);
    return 0;
}
