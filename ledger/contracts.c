#include "ledger/contracts.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/require.h"
#include "ledger/families.h"
#include "ledger/range.h"

enum { CONTRACT_VALUE_VERSION = 1 };

void contracts_init(struct contracts *c, struct kv *kv, const struct rules_env *env)
{
    require(c != NULL);
    require(env != NULL);
    *c = (struct contracts){.kv = kv, .env = *env};
}

static struct rules_program *program_of(const struct ledger_contract *contract)
{
    return (struct rules_program *)(uintptr_t)contract->program; /* ours to free */
}

void contracts_done(struct contracts *c)
{
    require(c != NULL);
    for (size_t i = 0; i < c->count; i++) {
        rules_program_free(program_of(&c->list[i]));
    }
    free(c->list);
    *c = (struct contracts){0};
}

static int order(const struct ledger_contract *contract, struct bytes name, uint64_t version)
{
    int by_name = bytes_compare(contract->name, name);
    if (by_name != 0) {
        return by_name;
    }
    return (contract->version > version) - (contract->version < version);
}

/* Index of the first entry that is not below (name, version). */
static size_t lower_bound(const struct contracts *c, struct bytes name, uint64_t version)
{
    size_t first = 0;
    size_t last = c->count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (order(&c->list[middle], name, version) < 0) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    return first;
}

const struct ledger_contract *contracts_find(const struct contracts *c, struct bytes name,
                                             uint64_t version, uint64_t below)
{
    require(c != NULL);
    const struct ledger_contract *found = NULL;
    for (size_t i = lower_bound(c, name, version); i < c->count; i++) {
        const struct ledger_contract *at = &c->list[i];
        if (!bytes_equal(at->name, name) || (version != 0 && at->version != version)) {
            break;
        }
        if (at->height < below) {
            found = at;
        }
    }
    return found;
}

const struct rules_program *contracts_pick(const struct contracts *c, struct bytes name,
                                           int32_t day, uint64_t below, bool *ret_known)
{
    require(c != NULL);
    require(ret_known != NULL);
    *ret_known = false;
    const struct ledger_contract *found = NULL;
    for (size_t i = lower_bound(c, name, 0); i < c->count; i++) {
        const struct ledger_contract *at = &c->list[i];
        if (!bytes_equal(at->name, name)) {
            break;
        }
        if (at->height >= below) {
            continue;
        }
        *ret_known = true;
        /* Ascending versions: of equal dates the later, higher version stays. */
        if (at->effective <= day && (found == NULL || at->effective >= found->effective)) {
            found = at;
        }
    }
    return found == NULL ? NULL : found->program;
}

/* Takes the program over. */
static const struct ledger_contract *insert(struct contracts *c, struct rules_program *program,
                                            uint64_t height)
{
    const struct rules_facts *facts = rules_program_facts(program);
    struct ledger_contract contract = {
        .name = facts->contract,
        .version = (uint64_t)facts->version,
        .title = facts->title,
        .text = facts->text,
        .effective = facts->effective,
        .height = height,
        .program = program,
    };
    memcpy(contract.text_hash, facts->text_hash, sizeof(contract.text_hash));
    memcpy(contract.code_hash, facts->code_hash, sizeof(contract.code_hash));
    if (c->count == c->capacity) {
        c->capacity = c->capacity * 2 + 16;
        c->list = mem_resize(c->list, c->capacity, sizeof(*c->list));
    }
    size_t at = lower_bound(c, contract.name, contract.version);
    memmove(&c->list[at + 1], &c->list[at], (c->count - at) * sizeof(*c->list));
    c->list[at] = contract;
    c->count++;
    return &c->list[at];
}

/* Key: name 00 u64 version. Value: u8 version | u64 height | sized text. */
static void contract_put(const struct contracts *c, struct kv_batch *batch,
                         const struct ledger_contract *contract)
{
    struct buf key;
    struct buf value;
    buf_init(&key, 4 * NAME_BYTES_MAX);
    buf_init(&value, CONTRACT_BYTES_MAX + 64);
    buf_put_bytes(&key, contract->name);
    buf_put_u8(&key, 0);
    buf_put_u64(&key, contract->version);
    buf_put_u8(&value, CONTRACT_VALUE_VERSION);
    buf_put_u64(&value, contract->height);
    buf_put_sized(&value, contract->text);
    require(!key.overflow);
    require(!value.overflow);
    kv_batch_put(batch, c->kv, FAMILY_CONTRACTS, buf_bytes(&key), buf_bytes(&value));
    buf_done(&key);
    buf_done(&value);
}

static err contract_read(struct contracts *c, struct bytes value, struct errtext *reterr)
{
    struct cursor at = cursor_of(value);
    uint8_t version = cursor_u8(&at);
    uint64_t height = cursor_u64(&at);
    struct bytes text = cursor_sized(&at, CONTRACT_BYTES_MAX);
    if (!cursor_done(&at) || version != CONTRACT_VALUE_VERSION) {
        return err_fail(reterr, ERR_CORRUPT, "a stored contract does not decode");
    }
    struct rules_program *program = NULL;
    struct rules_diag diag;
    if (failed(rules_compile(&c->env, text, &program, &diag))) {
        return err_fail(reterr, ERR_CORRUPT, "a stored contract does not compile: %u:%u: %s",
                        diag.line, diag.column, diag.message);
    }
    insert(c, program, height);
    return err_ok();
}

err contracts_load(struct contracts *c, struct errtext *reterr)
{
    require(c != NULL);
    require(c->count == 0);
    struct kv_iter *it = range_open(c->kv, FAMILY_CONTRACTS, bytes_of(NULL, 0), bytes_of(NULL, 0));
    struct bytes key;
    struct bytes value;
    err e = err_ok();
    while (!failed(e) && kv_iter_next(it, &key, &value)) {
        e = contract_read(c, value, reterr);
    }
    struct errtext why;
    err closed = kv_iter_close(it, &why);
    if (!failed(e) && failed(closed)) {
        return err_fail(reterr, closed.code, "read the contracts: %s", why.text);
    }
    return e;
}

static bool name_reserved(struct bytes name)
{
    return bytes_equal(name, bytes_text(GOVERNANCE_CONTRACT)) ||
           bytes_has_prefix(name, bytes_text(GOVERNANCE_CONTRACT "."));
}

/* Every `uses` table of the program against its owner, and those of others against the program. */
static err uses_check(const struct contracts *c, const struct rules_program *program,
                      struct errtext *reterr)
{
    const struct rules_facts *facts = rules_program_facts(program);
    for (size_t i = 0; i < facts->table_count; i++) {
        struct bytes owner = rules_program_table(program, i)->owner;
        if (owner.size == 0 || bytes_equal(owner, facts->contract)) {
            continue;
        }
        const struct ledger_contract *other = contracts_find(c, owner, 0, UINT64_MAX);
        if (other == NULL) {
            return err_fail(reterr, ERR_INVALID, "contract '%.*s' is not on the ledger",
                            (int)owner.size, (const char *)owner.data);
        }
        TRY(rules_uses_check(program, other->program, reterr));
    }
    for (size_t i = 0; i < c->count; i++) {
        bool newest = i + 1 == c->count || !bytes_equal(c->list[i].name, c->list[i + 1].name);
        if (newest && !bytes_equal(c->list[i].name, facts->contract)) {
            TRY(rules_uses_check(c->list[i].program, program, reterr));
        }
    }
    return err_ok();
}

static err tests_run(const struct rules_program *program, struct errtext *reterr)
{
    const struct rules_facts *facts = rules_program_facts(program);
    for (size_t i = 0; i < facts->test_count; i++) {
        struct rules_test_result result = {0};
        rules_test_run(program, i, &result);
        if (!result.passed) {
            return err_fail(reterr, ERR_INVALID, "test \"%.*s\", line %u: %.300s",
                            (int)(result.name.size < 100 ? result.name.size : 100),
                            (const char *)result.name.data, result.line, result.message);
        }
    }
    return err_ok();
}

static enum deploy_end checks(const struct contracts *c, const struct rules_program *program,
                              struct errtext *reterr)
{
    const struct rules_facts *facts = rules_program_facts(program);
    if (name_reserved(facts->contract)) {
        (void)err_fail(reterr, ERR_INVALID, "the name '%.*s' is reserved",
                       (int)facts->contract.size, (const char *)facts->contract.data);
        return DEPLOY_NAME;
    }
    const struct ledger_contract *last = contracts_find(c, facts->contract, 0, UINT64_MAX);
    if (last != NULL && (uint64_t)facts->version <= last->version) {
        (void)err_fail(reterr, ERR_INVALID, "version %lld is not above version %llu on the ledger",
                       (long long)facts->version, (unsigned long long)last->version);
        return DEPLOY_VERSION;
    }
    if (last != NULL && failed(rules_successor_check(last->program, program, reterr))) {
        return DEPLOY_VERSION;
    }
    if (failed(uses_check(c, program, reterr))) {
        return DEPLOY_USES;
    }
    return failed(tests_run(program, reterr)) ? DEPLOY_TEST : DEPLOY_OK;
}

enum deploy_end contracts_deploy(struct contracts *c, struct bytes text, uint64_t height,
                                 struct kv_batch *batch, const struct ledger_contract **ret,
                                 struct errtext *reterr)
{
    require(c != NULL);
    require(ret != NULL);
    require(reterr != NULL);
    if (c->count == CONTRACTS_MAX) {
        (void)err_fail(reterr, ERR_LIMIT, "the ledger holds %d contract versions", CONTRACTS_MAX);
        return DEPLOY_LIMIT;
    }
    struct rules_program *program = NULL;
    struct rules_diag diag;
    if (failed(rules_compile(&c->env, text, &program, &diag))) {
        (void)err_fail(reterr, ERR_INVALID, "%u:%u: %s", diag.line, diag.column, diag.message);
        return DEPLOY_TEXT;
    }
    enum deploy_end end = checks(c, program, reterr);
    if (end != DEPLOY_OK) {
        rules_program_free(program);
        return end;
    }
    *ret = insert(c, program, height);
    contract_put(c, batch, *ret);
    return DEPLOY_OK;
}
