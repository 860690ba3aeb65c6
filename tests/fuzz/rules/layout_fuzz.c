/* Targets: the common layout of any contract that compiles, which must keep its code and itself. */
#include "law.h"

#include "base/limits.h"
#include "base/require.h"
#include "rules/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rules_registry *registry;
    struct buf once;
    struct buf twice;
    if (registry == NULL) {
        registry = rules_registry_default();
    }
    struct rules_program *p = law_of(registry, data, size);
    if (p == NULL) {
        return 0;
    }
    buf_init(&once, 4 * CONTRACT_BYTES_MAX);
    buf_init(&twice, 4 * CONTRACT_BYTES_MAX);
    if (!failed(rules_format(p, &once, NULL))) {
        struct rules_program *q = law_of(registry, once.data, once.size);
        require(q != NULL);
        require(memcmp(rules_program_facts(p)->code_hash, rules_program_facts(q)->code_hash,
                       RULES_HASH_SIZE) == 0);
        require(!failed(rules_format(q, &twice, NULL)));
        require(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
        rules_program_free(q);
    }
    buf_done(&once);
    buf_done(&twice);
    rules_program_free(p);
    return 0;
}
