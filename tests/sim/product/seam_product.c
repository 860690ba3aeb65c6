/* Where the checks look into the product: as it opens its parts, and when a block is applied.
 * Nothing is changed here. */
#include <stddef.h>
#include <string.h>

#include "base/require.h"
#include "consensus/consensus.h"
#include "tests/sim/product/check.h"
#ifdef SIM_PLANTED
#include "tests/sim/product/bugs.h"
#endif

err __real_consensus_open(const struct consensus_host *host,
                          const struct consensus_options *options,
                          const struct consensus_disk *disk, struct consensus **ret,
                          struct errtext *reterr);
err __wrap_consensus_open(const struct consensus_host *host,
                          const struct consensus_options *options,
                          const struct consensus_disk *disk, struct consensus **ret,
                          struct errtext *reterr);
void __real_consensus_close(struct consensus *c);
void __wrap_consensus_close(struct consensus *c);
err __real_ledger_open(struct kv *kv, struct bytes genesis, const struct ledger_options *options,
                       struct ledger **ret, struct errtext *reterr);
err __wrap_ledger_open(struct kv *kv, struct bytes genesis, const struct ledger_options *options,
                       struct ledger **ret, struct errtext *reterr);
void __real_ledger_close(struct ledger *l);
void __wrap_ledger_close(struct ledger *l);
const struct ledger_result *__real_ledger_apply_finish(struct ledger *l);
const struct ledger_result *__wrap_ledger_apply_finish(struct ledger *l);
bool __real_ledger_apply_void(struct ledger *l, uint64_t raft_index);
bool __wrap_ledger_apply_void(struct ledger *l, uint64_t raft_index);

err __wrap_consensus_open(const struct consensus_host *host,
                          const struct consensus_options *options,
                          const struct consensus_disk *disk, struct consensus **ret,
                          struct errtext *reterr)
{
    struct machine *m = machine_running();
#ifdef SIM_PLANTED
    struct consensus_host other_host = *host;
    struct consensus_options other_options = {0};
    /* The node was built without the switches: they are not in what it passes. */
    memcpy(&other_options, options, offsetof(struct consensus_options, switches_off));
    bugs_consensus(&other_host, &other_options);
    host = &other_host;
    options = &other_options;
    m->bug_ctx = host->ctx;
#endif
    TRY(__real_consensus_open(host, options, disk, ret, reterr));
    m->consensus = *ret;
    return err_ok();
}

void __wrap_consensus_close(struct consensus *c)
{
    machine_running()->consensus = NULL;
    __real_consensus_close(c);
}

err __wrap_ledger_open(struct kv *kv, struct bytes genesis, const struct ledger_options *options,
                       struct ledger **ret, struct errtext *reterr)
{
    TRY(__real_ledger_open(kv, genesis, options, ret, reterr));
    machine_running()->ledger = *ret;
    check_state_opened(machine_running());
    return err_ok();
}

void __wrap_ledger_close(struct ledger *l)
{
    machine_running()->ledger = NULL;
    __real_ledger_close(l);
}

const struct ledger_result *__wrap_ledger_apply_finish(struct ledger *l)
{
    struct machine *m = machine_running();
    const struct ledger_result *result = __real_ledger_apply_finish(l);
    require(m->ledger == l);
    if (!m->dead && result != NULL) { /* NULL: its disk refused the block */
        check_applied(m, result);
    }
    return result;
}

bool __wrap_ledger_apply_void(struct ledger *l, uint64_t raft_index)
{
    const struct machine *m = machine_running();
    if (!m->dead) { /* every leader here is honest */
        violation(m->world, "node %llu passes over entry %llu, which is no block",
                  (unsigned long long)m->id, (unsigned long long)raft_index);
    }
    return __real_ledger_apply_void(l, raft_index);
}
