/* Hostile blocks on a small living ledger. The first octet chooses: the rest is a block as it is,
 * or envelopes as they are in a block that follows, or requests whose contract, action, flags and
 * argument bytes come from the input and whose signatures count as verified. The ledger goes on
 * from input to input, and must never stop, whatever the log holds. */
#include <stdlib.h>
#include <string.h>

#include "base/require.h"
#include "proto/block.h"
#include "world.h"

static struct world world;

static void finish(void)
{
    world_close(&world);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const CONTRACTS[] = {"tests/unit/ledger/bank.rules",
                                            "tests/unit/ledger/clock.rules"};
    world_open(&world, CONTRACTS, 2);
    (void)atexit(finish);
    return 0;
}

static void apply(struct bytes block, bool verified)
{
    bool all[EVENTS_MAX];
    memset(all, verified ? 1 : 0, sizeof(all));
    struct ledger_input input = {world.raft_index + 1, block, all};
    struct errtext why;
    if (failed(ledger_apply_begin(world.ledger, &input, &why))) {
        require(ledger_apply_void(world.ledger, ++world.raft_index));
        require(ledger_applied_index(world.ledger) == world.raft_index);
        require(ledger_head(world.ledger).height == world.head.height);
        return;
    }
    while (!ledger_apply_step(world.ledger, 7)) {
    }
    const struct ledger_result *result = ledger_apply_finish(world.ledger);
    require(result->head.height == world.head.height + 1);
    require(result->head.position - result->position_first ==
            result->accepted + result->rejected + result->faults);
    world.head = result->head;
    world.time_ns = result->head.time_ns;
    world.raft_index++;
}

/* One request of up to four events out of the input: per event one octet of choice, one of argument
 * length, and the arguments. */
static struct bytes request_of(struct bytes data, uint8_t flags)
{
    static const char *const NAMES[][2] = {
        {"test.bank", "open"},   {"test.bank", "pay"},          {"test.bank", "call"},
        {"test.bank", "split"},  {"test.clock", "wake"},        {"test.clock", "ring"},
        {"ledger", "party_add"}, {"ledger", "contract_deploy"}, {"ledger", "key_revoke"},
        {"none", "none"},
    };
    struct plan plan = {.signers = {KEY_TELLER, KEY_GOVERN_VILLE, KEY_GOVERN_SOCIAL},
                        .signer_count = 1 + flags % 3,
                        .on_behalf = flags & 0x10 ? "ledger.ville" : "teller",
                        .id = flags,
                        .atomic = (flags & 0x20) != 0};
    size_t at = 0;
    for (size_t i = 0; i < 4 && at + 2 <= data.size; i++) {
        size_t choice = data.data[at] % (sizeof(NAMES) / sizeof(NAMES[0]));
        size_t size = data.data[at + 1];
        at += 2;
        size = size < data.size - at ? size : data.size - at;
        plan.actions[i] = (struct action){.contract = NAMES[choice][0],
                                          .name = NAMES[choice][1],
                                          .args = bytes_of(data.data + at, size),
                                          .has_legal = (data.data[at - 2] & 0x80) != 0,
                                          .legal = (int32_t)size * 100 + 20000};
        at += size;
    }
    return plan.actions[0].contract == NULL ? data : world_envelope(&world, &plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 4096) {
        return 0;
    }
    arena_reset(&world.arena);
    struct bytes rest = bytes_of(data + 2, size - 2);
    switch (data[0] % 4) {
    case 0:
        apply(rest, true);
        break;
    case 1:
        apply(world_block(&world, &rest, 1), false);
        break;
    default: {
        struct bytes half = bytes_of(rest.data, rest.size / 2);
        struct bytes other = bytes_of(rest.data + half.size, rest.size - half.size);
        struct bytes envelopes[] = {request_of(half, data[1]),
                                    request_of(other, (uint8_t)(data[1] * 7 + 1))};
        apply(world_block(&world, envelopes, 2), true);
        break;
    }
    }
    struct ledger_admission admission;
    ledger_admit(world.ledger, rest, world.time_ns, &world.arena, &admission);
    return 0;
}
