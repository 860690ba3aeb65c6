/* The state of this node is replaced: by a checkpoint that was fetched, or, when it is lost or
 * damaged, by one of its own. */
#include <inttypes.h>

#include "base/log.h"
#include "base/require.h"
#include "server/checkpoint_work.h"
#include "server/parts.h"

static void drop_apply(struct node *n)
{
    entry_unref(n->applying.entry);
    n->applying = (struct consensus_next){0};
    n->applying_begun = false;
    chain_cut(&n->chain, 0);
    n->tail.known = false;
}

void install_switch(struct node *n)
{
    struct checkpoint_paths p = checkpoint_paths_of(n);
    const uint64_t index = n->checkpoints.fetch.id.index;
    const uint64_t began_ns = clock_monotonic_ns(&n->clock);
    struct errtext why;
    bool switched = false;
    require(n->checkpoints.fetch.phase == FETCH_INSTALL);
    scrub_stop(n); /* nothing else may look at the state */
    pool_drain(n->checkpoints.chunks);
    pool_drain(n->checkpoints.bulk);
    drop_apply(n);
    n->checkpoints.described = 0; /* the next one is made from another store */
    ledger_close(n->ledger);
    kv_close(n->kv);
    n->ledger = NULL;
    n->kv = NULL;
    err e = work_install(&p, index, work_adopt, &switched, &why);
    if (!failed(e) && !switched) {
        e = err_fail(&why, ERR_CORRUPT, "%s/install is gone", n->config.data);
    }
    if (!failed(e)) {
        e = node_open_state(n, &why);
    }
    if (failed(e)) {
        die("the state was not switched to the checkpoint of entry %" PRIu64
            ": %s; it is on disk: mend this and start again",
            index, why.text);
    }
    require(ledger_applied_index(n->ledger) == index);
    uint64_t bytes = n->checkpoints.fetch.manifest->total_bytes;
    uint64_t now_ns = loop_update_now(n->loop);
    checkpoint_add(n, fetch_end(n), true);
    n->repair.wanted = false; /* what was damaged is gone */
    members_wake(n); /* the node table is another one */
    log_info("the state is that of height %" PRIu64 " now: %" PRIu64 " bytes fetched in %" PRIu64
             " ms, switched in %" PRIu64 " ms",
             ledger_head(n->ledger).height, bytes,
             (now_ns - n->checkpoints.fetch.began_ns) / NS_PER_MS,
             (clock_monotonic_ns(&n->clock) - began_ns) / NS_PER_MS);
}

err install_recover(struct node *n, const struct logstore_recovered *r, struct errtext *reterr)
{
    struct checkpoint_paths p = checkpoint_paths_of(n);
    struct checkpoint_record record = {0};
    bool switched = false;
    if (r->snapshot.index > 0 && !checkpoint_record_decode(r->snapshot.manifest, &record)) {
        return err_fail(reterr, ERR_CORRUPT, "what the log keeps of its checkpoint is malformed");
    }
    uint64_t index = record.installed ? r->snapshot.index : 0;
    TRY(work_install(&p, index, work_adopt, &switched, reterr));
    if (switched) {
        log_info("finished the install of the checkpoint of entry %" PRIu64, r->snapshot.index);
    }
    return err_ok();
}

err install_restore(struct node *n, const struct logstore_recovered *r, struct errtext *reterr)
{
    struct checkpoint_paths p = checkpoint_paths_of(n);
    uint64_t index = 0;
    TRY(work_restore(&p, r->first - 1, r->last, &index, reterr));
    log_warn("the state was lost or damaged: this node goes on from its own checkpoint of entry "
             "%" PRIu64 " and replays the log; what was there is in %s/state.damaged",
             index, n->config.data);
    return err_ok();
}
