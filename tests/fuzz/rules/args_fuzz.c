/* Targets: the decoder and validation of Args messages, and the host's flat reader. */
#include "law.h"

static bool no_row(void *ctx, struct bytes key, struct bytes *ret_row)
{
    return false;
}

static bool no_seek(void *ctx, struct bytes prefix, struct bytes key, struct bytes *ret_key,
                    struct bytes *ret_row)
{
    return false;
}

static void no_scan(void *ctx, struct bytes prefix, void *to,
                    bool (*on_row)(void *to, struct bytes key, struct bytes row))
{
}

static uint64_t no_count(void *ctx, struct bytes prefix)
{
    return 0;
}

static int64_t no_balance(void *ctx, struct bytes account)
{
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rules_store nothing = {NULL,     no_row,     no_seek, no_scan,
                                               no_count, no_balance, NULL};
    static struct rules_program *p;
    if (p == NULL) {
        p = law_of(rules_registry_default(), law_everything, sizeof law_everything - 1);
    }
    if (p == NULL) {
        __builtin_trap();
    }
    struct bytes boss = bytes_text("boss");
    struct rules_event ev = {.name = bytes_text("go"),
                             .signers = &boss,
                             .signer_count = 1,
                             .args = bytes_of(data, size),
                             .now = {1782901230, 0}};
    struct arena arena;
    struct rules_out out;
    arena_init(&arena, (size_t)1 << 30);
    rules_apply(p, &ev, &nothing, &arena, &out);
    arena_done(&arena);
    size_t at = 0;
    bool more = true;
    struct rules_arg arg;
    while (more && !failed(rules_args_next(bytes_of(data, size), &at, &arg, &more))) {
    }
    return 0;
}
