/* Targets: a contract and events for it: what the checker lets through, the evaluator must carry
 * within its bounds. A text, a NUL, lines of events in JSON, and optionally a NUL and an Args
 * message that is given to each of its events in turn. */
#include "law.h"

#include "rules/memory.h"

static void each_event(const struct rules_program *p, struct bytes args)
{
    struct memory state;
    memory_init(&state);
    for (size_t i = 0; i < rules_program_facts(p)->event_count; i++) {
        const struct rules_event_facts *e = rules_program_event(p, i);
        const struct bytes one[] = {bytes_text("boss")};
        struct rules_event ev = {
            .name = e->name,
            .signers = e->signer_count > 0 ? e->signers : one,
            .signer_count = e->signer_count > 0 ? e->signer_count : 1,
            .now = {1784109600, 0},
            .has_legal = e->clock,
            .legal = 20649,
            .args = args,
            .timer = e->clock,
        };
        struct arena a;
        struct rules_out out;
        arena_init(&a, (size_t)1 << 30);
        rules_apply(p, &ev, &state.store, &a, &out);
        if (out.end == RULES_ACCEPTED) {
            memory_apply(&state, &out, i);
        }
        arena_done(&a);
    }
    memory_done(&state);
}

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
        struct bytes rest = bytes_of(data + text + 1, size - text - 1);
        const uint8_t *second = rest.size == 0 ? NULL : memchr(rest.data, 0, rest.size);
        size_t lines = second == NULL ? rest.size : (size_t)(second - rest.data);
        law_run(p, bytes_of(rest.data, lines));
        if (second != NULL) {
            each_event(p, bytes_of(second + 1, rest.size - lines - 1));
        }
    }
    rules_program_free(p);
    return 0;
}
