/* Targets: the explanation of any result line, in each language. */
#include "law.h"

#include "base/require.h"
#include "rules/explain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rules_program *p;
    if (p == NULL) {
        p = law_of(rules_registry_default(), law_everything, sizeof law_everything - 1);
        require(p != NULL);
    }
    for (int language = RULES_ENGLISH; language <= RULES_DUTCH; language++) {
        struct buf out;
        buf_init(&out, (size_t)64 << 20);
        (void)!failed(
            rules_explain_line(p, bytes_of(data, size), (enum rules_language)language, &out, NULL));
        buf_done(&out);
    }
    return 0;
}
