#include "ledger/families.h"

#include "base/require.h"
#include "ledger/ledger.h"
#include "storage/kv.h"

static const struct kv_family FAMILIES[FAMILIES_COUNT] = {
    [FAMILY_META] = {.name = "meta", .point_lookup = true},
    [FAMILY_PARTIES] = {.name = "parties", .point_lookup = true},
    [FAMILY_CONTRACTS] = {.name = "contracts", .point_lookup = true},
    [FAMILY_ACCOUNTS] = {.name = "accounts", .point_lookup = true},
    [FAMILY_ROWS] = {.name = "rows", .point_lookup = true},
    [FAMILY_TIMERS] = {.name = "timers"},
    [FAMILY_REQUESTS] = {.name = "requests", .point_lookup = true},
    [FAMILY_VOIDS] = {.name = "voids", .point_lookup = true},
    [FAMILY_BLOCKS] = {.name = "blocks"},
    [FAMILY_RECORDS] = {.name = "records", .sequence = true},
    [FAMILY_POSTINGS] = {.name = "postings"},
    [FAMILY_NODES] = {.name = "nodes"},
    [FAMILY_TREE] = {.name = "tree"},
    [FAMILY_LOCAL] = {.name = "local", .point_lookup = true},
    [FAMILY_TRACES] = {.name = "traces", .sequence = true},
    [FAMILY_INPUTS] = {.name = "inputs", .sequence = true},
    [FAMILY_HEADS] = {.name = "heads"},
};

void ledger_kv_families(struct kv_options *options)
{
    require(options != NULL);
    options->families = FAMILIES;
    options->families_count = FAMILIES_COUNT;
}
