/* Targets: the JSON reader and the evaluator on any event lines. */
#include "law.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rules_program *p;
    if (p == NULL) {
        p = law_of(rules_registry_default(), law_everything, sizeof law_everything - 1);
    }
    if (p == NULL) {
        __builtin_trap();
    }
    law_run(p, bytes_of(data, size));
    return 0;
}
