/* concordat balance, rows, statement, trial-balance, outcome: what the ledger says. */
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "cli/proofs.h"
#include "cli/session.h"
#include "cli/show.h"

/* "solar.roquefort/wallet[c01]" */
static bool split_account(const char *text, struct account *ret)
{
    const char *slash = strchr(text, '/');
    if (slash == NULL || slash == text || slash[1] == '\0') {
        complain(EXIT_USAGE, "an account is CONTRACT/FAMILY[KEYS], not '%s'", text);
        return false;
    }
    ret->contract = bytes_of(text, (size_t)(slash - text));
    ret->place = bytes_text(slash + 1);
    return true;
}

#define TEXT(b) (int)(b).size, (const char *)(b).data

/* ---- balance ---- */

static const struct option READ_OPTIONS[] = {
    LOCAL_OPTION, SESSION_OPTIONS, {NULL, NULL, NULL, false}};

static int run_balance(const struct given *g)
{
    struct session s;
    struct bytes answer;
    struct balance_reply *r = NULL;
    struct balance_request q = {.local = given_has(g, "local")};
    if (!split_account(g->arguments[0], &q.account)) {
        return EXIT_USAGE;
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    balance_request_encode(&q, &s.request);
    err e = session_ask(&s, METHOD_BALANCE, &answer);
    if (!failed(e)) {
        e = balance_reply_decode(answer, &s.arena, &r, &s.why);
    }
    if (failed(e)) {
        return session_fail(&s, e);
    }
    if (g->json) {
        show_json_line(json_pack("{s:s,s:o,s:I,s:o,s:I,s:o}", "account", g->arguments[0], "amount",
                                 show_text(r->amount), "quanta", (json_int_t)r->quanta, "measure",
                                 show_text(r->measure), "postings", (json_int_t)r->postings, "at",
                                 show_at(&r->at)));
    } else {
        printf("%.*s\n", TEXT(r->amount));
    }
    return session_close(&s, EXIT_DONE);
}

const struct command BALANCE = {"balance",
                                "ACCOUNT",
                                1,
                                1,
                                "Shows the balance of an account",
                                READ_OPTIONS,
                                "  concordat balance 'solar.roquefort/wallet[c01]'\n",
                                run_balance};

/* ---- rows ---- */

static const struct option ROWS_OPTIONS[] = {
    {"prefix", "KEYS", "only rows whose keys begin so: 2026-07-01,p02", false},
    {"limit", "N", "at most so many rows; default all", false},
    LOCAL_OPTION,
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

static err rows_page(struct session *s, struct rows_request *q, uint64_t *limit)
{
    struct bytes answer;
    struct rows_reply *r;
    q->page_size = *limit < PAGE_SIZE_MAX ? (uint32_t)*limit : PAGE_SIZE_MAX;
    q->page_token = buf_bytes(&s->token);
    rows_request_encode(q, &s->request);
    TRY(session_ask(s, METHOD_ROWS, &answer));
    TRY(rows_reply_decode(answer, &s->arena, &r, &s->why));
    for (size_t i = 0; i < r->row_count; i++) {
        printf("%.*s\n", TEXT(r->rows[i].json));
    }
    *limit -= r->row_count < *limit ? r->row_count : *limit;
    if (!session_next_page(s, r->next_page_token)) {
        *limit = 0;
    }
    return err_ok();
}

static int run_rows(const struct given *g)
{
    struct session s;
    uint64_t limit = UINT64_MAX;
    struct rows_request q = {.contract = bytes_text(g->arguments[0]),
                             .local = given_has(g, "local")};
    if (!given_number(g, "limit", 1, UINT64_MAX / 2, &limit)) {
        return EXIT_USAGE;
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    const char *prefix = given_value(g, "prefix");
    q.place = bytes_text(prefix == NULL ? g->arguments[1]
                                        : arena_printf(&s.profile.arena, "%s[%s]",
                                                       g->arguments[1], prefix));
    while (limit > 0) {
        err e = rows_page(&s, &q, &limit);
        if (failed(e)) {
            return session_fail(&s, e);
        }
    }
    return session_close(&s, EXIT_DONE);
}

const struct command ROWS = {
    "rows",
    "CONTRACT TABLE",
    2,
    2,
    "Prints rows of a contract's table, one JSON object a line",
    ROWS_OPTIONS,
    "  concordat rows solar.roquefort supply --prefix 2026-07-01\n"
    "  concordat rows solar.roquefort 'supply[2026-07-01,p02]' --limit 10\n",
    run_rows};

/* ---- statement ---- */

static const struct option STATEMENT_OPTIONS[] = {
    {"from", "POSITION", "leave out postings of records before this position", false},
    {"limit", "N", "at most so many postings; default 100", false},
    {"all", NULL, "all postings", false},
    {"prove", "FILE", "write the statement that proves itself complete there", false},
    {"to", "POSITION", "with --prove: leave out records at or above this position", false},
    LOCAL_OPTION,
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

static json_t *posting_json(const struct posting *p)
{
    return json_pack("{s:I,s:I,s:I,s:o,s:I,s:I,s:o,s:o,s:o,s:o}", "number",
                     (json_int_t)p->number, "position", (json_int_t)p->position, "ordinal",
                     (json_int_t)p->ordinal, "time", show_time_json(p->time_ns), "quanta",
                     (json_int_t)p->quanta, "balance_quanta", (json_int_t)p->balance_quanta,
                     "amount", show_text(p->amount), "balance", show_text(p->balance), "counter",
                     show_text(p->counter), "clause", show_text(p->clause));
}

static void print_posting(const struct posting *p)
{
    char time[SHOW_TIME_SIZE];
    show_time(p->time_ns, time);
    printf("%6llu  %-20.19s %9llu  %-28.*s %-6.*s %16.*s %16.*s\n",
           (unsigned long long)p->number, time, (unsigned long long)p->position, TEXT(p->counter),
           TEXT(p->clause), TEXT(p->amount), TEXT(p->balance));
}

struct statement_walk {
    struct session *s;
    struct statement_request q;
    uint64_t left, shown;
    bool more; /* there are postings that were not shown */
};

static err statement_page(struct statement_walk *w, bool *ret_last)
{
    struct session *s = w->s;
    struct bytes answer;
    struct statement_reply *r;
    w->q.page_size = w->left < PAGE_SIZE_MAX ? (uint32_t)w->left : PAGE_SIZE_MAX;
    w->q.page_token = buf_bytes(&s->token);
    statement_request_encode(&w->q, &s->request);
    TRY(session_ask(s, METHOD_STATEMENT, &answer));
    TRY(statement_reply_decode(answer, &s->arena, &r, &s->why));
    if (!s->given->json && w->shown == 0) {
        printf("%6s  %-20s %9s  %-28s %-6s %16s %16s\n", "NUMBER", "TIME", "POSITION", "WITH",
               "CLAUSE", "AMOUNT", "BALANCE");
    }
    for (size_t i = 0; i < r->posting_count; i++) {
        if (s->given->json) {
            show_json_line(posting_json(&r->postings[i]));
        } else {
            print_posting(&r->postings[i]);
        }
    }
    w->shown += r->posting_count;
    w->left -= r->posting_count < w->left ? r->posting_count : w->left;
    w->more = r->next_page_token.size > 0;
    *ret_last = w->left == 0 || !w->more;
    if (*ret_last && !s->given->json) {
        printf("%s: %.*s, complete up to position %llu\n", s->given->arguments[0],
               TEXT(r->balance), (unsigned long long)r->at.size);
    }
    (void)session_next_page(s, r->next_page_token);
    return err_ok();
}

/* The statement for others, who do not believe this node. */
static int prove_statement(struct session *s, const struct statement_walk *w)
{
    uint32_t marks = 0;
    const char *path = given_value(s->given, "prove");
    struct prove_statement_request q = {
        .account = w->q.account, .from_position = w->q.from_position, .local = w->q.local};
    if (!given_number(s->given, "to", 1, INT64_MAX, &q.to_position)) {
        return session_close(s, EXIT_USAGE);
    }
    err e = proofs_statement(s, &q, path, &marks);
    if (failed(e)) {
        return session_fail(s, e);
    }
    if (s->given->json) {
        show_json_line(json_pack("{s:s,s:I}", "file", path, "end_marks", (json_int_t)marks));
    } else if (marks > 0) {
        printf("%s: %u institutions say that nothing followed\n", path, marks);
    } else {
        printf("%s: complete up to its last record\n", path);
    }
    return session_close(s, EXIT_DONE);
}

static int run_statement(const struct given *g)
{
    struct session s;
    uint64_t limit = given_has(g, "all") ? UINT64_MAX : 100;
    struct statement_walk w = {.s = &s, .q = {.local = given_has(g, "local")}};
    if (!split_account(g->arguments[0], &w.q.account) ||
        !given_number(g, "limit", 1, UINT64_MAX / 2, &limit) ||
        !given_number(g, "from", 0, UINT64_MAX / 2, &w.q.from_position)) {
        return EXIT_USAGE;
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    if (given_value(g, "prove") != NULL) {
        return prove_statement(&s, &w);
    }
    w.left = limit;
    for (bool last = false; !last;) {
        err e = statement_page(&w, &last);
        if (failed(e)) {
            return session_fail(&s, e);
        }
    }
    if (w.more) {
        fprintf(stderr, "concordat: there are more postings: --all shows them\n");
    }
    return session_close(&s, EXIT_DONE);
}

const struct command STATEMENT = {
    "statement",
    "ACCOUNT",
    1,
    1,
    "Lists the postings of an account with the balance after each\n\n"
    "With --json: one JSON object a posting and line. With --prove: nothing is listed; the file\n"
    "convinces others with a policy alone (concordat statement verify, concordat-verify).",
    STATEMENT_OPTIONS,
    "  concordat statement 'solar.roquefort/wallet[c01]' --all\n"
    "  concordat statement 'solar.roquefort/wallet[c01]' --prove c01.statement\n",
    run_statement};

/* ---- trial balance ---- */

static json_t *line_json(const struct trial_balance_line *t)
{
    return json_pack("{s:o,s:o,s:o,s:I,s:o,s:o,s:I,s:I,s:I}", "contract", show_text(t->contract),
                     "family", show_text(t->family), "measure", show_text(t->measure), "accounts",
                     (json_int_t)t->accounts, "debit", show_text(t->debit), "credit",
                     show_text(t->credit), "debit_quanta", (json_int_t)t->debit_quanta,
                     "credit_quanta", (json_int_t)t->credit_quanta, "sum",
                     (json_int_t)t->sum_quanta);
}

enum { TOTALS_MAX = 256, TOTAL_NAME_MAX = 96 };

/* All families of one contract and measure together: a transfer may go from one to another. */
struct total {
    char contract[TOTAL_NAME_MAX], measure[TOTAL_NAME_MAX];
    int64_t sum;
};

struct trial {
    struct session *s;
    json_t *lines;
    struct total totals[TOTALS_MAX];
    size_t total_count;
    uint64_t height;
};

static err add_total(struct trial *t, const struct trial_balance_line *l)
{
    struct total one = {.sum = l->sum_quanta};
    snprintf(one.contract, sizeof one.contract, "%.*s", TEXT(l->contract));
    snprintf(one.measure, sizeof one.measure, "%.*s", TEXT(l->measure));
    for (size_t i = 0; i < t->total_count; i++) {
        struct total *have = &t->totals[i];
        if (strcmp(have->contract, one.contract) == 0 && strcmp(have->measure, one.measure) == 0) {
            return __builtin_add_overflow(have->sum, one.sum, &have->sum)
                       ? err_fail(&t->s->why, ERR_LIMIT, "the sums of %s overflow", one.contract)
                       : err_ok();
        }
    }
    if (t->total_count == TOTALS_MAX) {
        return err_fail(&t->s->why, ERR_LIMIT, "more than %d contracts and measures", TOTALS_MAX);
    }
    t->totals[t->total_count++] = one;
    return err_ok();
}

static err trial_page(struct trial *t, bool *ret_more)
{
    struct session *s = t->s;
    struct bytes answer;
    struct trial_balance_reply *r;
    struct trial_balance_request q = {.page_size = PAGE_SIZE_MAX,
                                      .page_token = buf_bytes(&s->token),
                                      .local = given_has(s->given, "local")};
    trial_balance_request_encode(&q, &s->request);
    TRY(session_ask(s, METHOD_TRIAL_BALANCE, &answer));
    TRY(trial_balance_reply_decode(answer, &s->arena, &r, &s->why));
    for (size_t i = 0; i < r->line_count; i++) {
        const struct trial_balance_line *l = &r->lines[i];
        TRY(add_total(t, l));
        json_array_append_new(t->lines, line_json(l));
        if (!s->given->json) {
            printf("%-24.*s %-14.*s %9llu %20.*s %20.*s\n", TEXT(l->contract), TEXT(l->family),
                   (unsigned long long)l->accounts, TEXT(l->debit), TEXT(l->credit));
        }
    }
    t->height = r->at.height;
    *ret_more = session_next_page(s, r->next_page_token);
    return err_ok();
}

static bool show_totals(const struct trial *t)
{
    bool balanced = true;
    json_t *totals = json_array();
    for (size_t i = 0; i < t->total_count; i++) {
        const struct total *one = &t->totals[i];
        balanced = balanced && one->sum == 0;
        json_array_append_new(totals, json_pack("{s:s,s:s,s:I}", "contract", one->contract,
                                                "measure", one->measure, "sum",
                                                (json_int_t)one->sum));
        if (!t->s->given->json) {
            printf("%-24s all accounts in %s sum to %lld\n", one->contract, one->measure,
                   (long long)one->sum);
        }
    }
    if (t->s->given->json) {
        show_json_line(json_pack("{s:I,s:b,s:O,s:O}", "height", (json_int_t)t->height, "balanced",
                                 balanced, "lines", t->lines, "totals", totals));
    } else {
        printf("%s at height %llu\n", balanced ? "balanced" : "NOT BALANCED",
               (unsigned long long)t->height);
    }
    json_decref(totals);
    return balanced;
}

static int run_trial(const struct given *g)
{
    struct session s;
    struct trial t = {.s = &s};
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    t.lines = json_array();
    if (!g->json) {
        printf("%-24s %-14s %9s %20s %20s\n", "CONTRACT", "FAMILY", "ACCOUNTS", "DEBIT", "CREDIT");
    }
    err e = err_ok();
    for (bool more = true; more && !failed(e);) {
        e = trial_page(&t, &more);
    }
    bool balanced = !failed(e) && show_totals(&t);
    json_decref(t.lines);
    return failed(e) ? session_fail(&s, e)
                     : session_close(&s, balanced ? EXIT_DONE : EXIT_REFUSED);
}

const struct command TRIAL_BALANCE = {
    "trial-balance",
    "",
    0,
    0,
    "Sums all accounts: every contract and measure must give zero\n\n"
    "A transfer may go from one family of a contract to another (a payment and its tax), so the\n"
    "families of a measure are summed together. Exit 1 when a sum is not zero.",
    READ_OPTIONS,
    "  concordat trial-balance\n",
    run_trial};

/* ---- outcome ---- */

static int run_outcome(const struct given *g)
{
    struct session s;
    struct bytes answer;
    struct submit_reply *r = NULL;
    struct get_outcome_request q = {.party = bytes_text(g->arguments[0]),
                                    .local = given_has(g, "local")};
    if (failed(hex_decode(bytes_text(g->arguments[1]), q.request_id, sizeof q.request_id))) {
        return complain(EXIT_USAGE, "a request id is 32 hexadecimal digits");
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    get_outcome_request_encode(&q, &s.request);
    err e = session_ask(&s, METHOD_GET_OUTCOME, &answer);
    if (!failed(e)) {
        e = submit_reply_decode(answer, &s.arena, &r, &s.why);
    }
    if (failed(e)) {
        return session_fail(&s, e);
    }
    show_reply(r, g->json);
    return session_close(&s, EXIT_DONE);
}

const struct command OUTCOME = {"outcome",
                                "PARTY REQUEST_ID",
                                2,
                                2,
                                "Shows what became of a request",
                                READ_OPTIONS,
                                "  concordat outcome enedis 00112233445566778899aabbccddeeff\n",
                                run_outcome};
