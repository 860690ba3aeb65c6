/* Where the checks look into the product: as it opens its parts, and when a block is applied.
 * Nothing is changed here. */
#include "base/require.h"
#include "consensus/consensus.h"
#include "tests/sim/product/check.h"

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

err __wrap_consensus_open(const struct consensus_host *host,
                          const struct consensus_options *options,
                          const struct consensus_disk *disk, struct consensus **ret,
                          struct errtext *reterr)
{
    TRY(__real_consensus_open(host, options, disk, ret, reterr));
    machine_running()->consensus = *ret;
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
    if (!m->dead) {
        check_applied(m, result);
    }
    return result;
}
