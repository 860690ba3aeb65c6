/* Targets: the compiler on any text, and the tests that a text carries. */
#include "law.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rules_registry *registry;
    if (registry == NULL) {
        registry = rules_registry_default();
    }
    struct rules_program *p = law_of(registry, data, size);
    for (size_t i = 0; p != NULL && i < rules_program_facts(p)->test_count; i++) {
        struct rules_test_result result;
        rules_test_run(p, i, &result);
    }
    rules_program_free(p);
    return 0;
}
