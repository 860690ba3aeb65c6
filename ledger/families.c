#include "ledger/families.h"

#include "base/require.h"
#include "ledger/ledger.h"
#include "storage/kv.h"

static const struct kv_family FAMILIES[FAMILIES_COUNT] = {
    [FAMILY_META] = {"meta", true},           [FAMILY_PARTIES] = {"parties", true},
    [FAMILY_CONTRACTS] = {"contracts", true}, [FAMILY_ACCOUNTS] = {"accounts", true},
    [FAMILY_ROWS] = {"rows", true},           [FAMILY_TIMERS] = {"timers", false},
    [FAMILY_REQUESTS] = {"requests", true},   [FAMILY_VOIDS] = {"voids", true},
    [FAMILY_BLOCKS] = {"blocks", false},      [FAMILY_RECORDS] = {"records", false},
    [FAMILY_POSTINGS] = {"postings", false},  [FAMILY_NODES] = {"nodes", false},
    [FAMILY_TREE] = {"tree", false},          [FAMILY_LOCAL] = {"local", true},
    [FAMILY_TRACES] = {"traces", false},      [FAMILY_INPUTS] = {"inputs", false},
};

void ledger_kv_families(struct kv_options *options)
{
    require(options != NULL);
    options->families = FAMILIES;
    options->families_count = FAMILIES_COUNT;
}
