/* The load generator: concordat-load. It measures, and it keeps account of what it did, so that
 * whoever runs it can compare the ledger with that. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "bench/check.h"
#include "bench/connect.h"
#include "bench/drive.h"
#include "bench/histogram.h"
#include "bench/maker.h"
#include "bench/options.h"
#include "bench/watcher.h"

enum { REPORTED_ACCOUNTS = 5 };
#define TURN_NS (UINT64_C(10) * NS_PER_MS) /* how late a phase may end */
#define LAST_NS (UINT64_C(60) * NS_PER_S)  /* for the last answers */

struct load {
    struct options options;
    struct loop *loop;
    struct tls_ctx *tls;
    struct maker *maker;
    struct drive *drive;
    FILE *acks;
    struct histogram histogram;
    struct drive_counts before, after; /* of the measured time */
    uint64_t measured_ns, cpu_ns;
};

static uint64_t cpu_ns(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0) {
        return 0;
    }
    uint64_t seconds = (uint64_t)u.ru_utime.tv_sec + (uint64_t)u.ru_stime.tv_sec;
    uint64_t micros = (uint64_t)u.ru_utime.tv_usec + (uint64_t)u.ru_stime.tv_usec;
    return seconds * NS_PER_S + micros * NS_PER_US;
}

static void turn_for(struct load *l, uint64_t ns)
{
    uint64_t until = loop_update_now(l->loop) + ns;
    while (loop_update_now(l->loop) < until && drive_busy(l->drive) > 0) {
        loop_turn(l->loop, TURN_NS);
    }
}

/* Whoever reads our output takes the servers' figures when these lines come. */
static void say_phase(const char *phase)
{
    printf("{\"phase\":\"%s\"}\n", phase);
    fflush(stdout);
}

static void run_phases(struct load *l)
{
    turn_for(l, l->options.warmup_seconds * NS_PER_S);
    say_phase("measuring");
    l->before = drive_counts(l->drive);
    uint64_t started = loop_update_now(l->loop);
    uint64_t cpu = cpu_ns();
    drive_measure(l->drive, &l->histogram);
    turn_for(l, l->options.seconds * NS_PER_S);
    drive_measure(l->drive, NULL);
    l->measured_ns = loop_update_now(l->loop) - started;
    l->cpu_ns = cpu_ns() - cpu;
    l->after = drive_counts(l->drive);
    say_phase("measured");
    drive_stop(l->drive);
    turn_for(l, LAST_NS);
}

static void print_accounts(const struct load *l)
{
    uint32_t count = l->options.accounts;
    count = count < REPORTED_ACCOUNTS ? count : REPORTED_ACCOUNTS;
    printf(",\"cents\":{");
    for (uint32_t i = 0; i < count; i++) {
        char name[MAKER_NAME_MAX];
        maker_account(l->maker, i, name);
        printf("%s\"%s\":%" PRId64, i == 0 ? "" : ",", name, maker_cents(l->maker, i));
    }
    printf("}");
}

static int report(const struct load *l)
{
    const struct histogram *h = &l->histogram;
    struct drive_counts all = drive_counts(l->drive);
    uint64_t requests = l->after.requests - l->before.requests;
    uint64_t made = l->after.make_ns - l->before.make_ns;
    printf("{\"clients\":%u,\"in_flight\":%u,\"events_a_request\":%u,\"accounts\":%u",
           l->options.clients, l->options.in_flight, l->options.events, l->options.accounts);
    printf(",\"measured_ns\":%" PRIu64 ",\"requests\":%" PRIu64 ",\"events\":%" PRIu64,
           l->measured_ns, requests, l->after.events - l->before.events);
    printf(",\"p50_ns\":%" PRIu64 ",\"p90_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64
           ",\"p999_ns\":%" PRIu64 ",\"max_ns\":%" PRIu64 ",\"mean_ns\":%" PRIu64,
           histogram_at(h, 500), histogram_at(h, 900), histogram_at(h, 990), histogram_at(h, 999),
           h->max_ns, h->count == 0 ? 0 : h->sum_ns / h->count);
    printf(",\"gap_ns\":%" PRIu64, l->after.gap_ns);
    printf(",\"make_ns\":%" PRIu64 ",\"client_cpu_ns\":%" PRIu64,
           requests == 0 ? 0 : made / requests, l->cpu_ns);
    printf(",\"all_requests\":%" PRIu64 ",\"all_events\":%" PRIu64 ",\"rejected\":%" PRIu64
           ",\"refused\":%" PRIu64 ",\"resent\":%" PRIu64 ",\"unanswered\":%zu",
           all.requests, all.events, all.rejected, all.refused, all.resent, drive_busy(l->drive));
    print_accounts(l);
    printf("}\n");
    bool well = all.rejected == 0 && all.refused == 0 && drive_busy(l->drive) == 0;
    if (!well) {
        fprintf(stderr, "concordat-load: the last trouble: %s\n", drive_trouble(l->drive));
    }
    return well && all.requests > 0 ? 0 : 1;
}

static err run_load(struct load *l, int *ret_code, struct errtext *reterr)
{
    struct drive_options o = {.options = &l->options, .loop = l->loop, .tls = l->tls};
    TRY(maker_open(&l->options, &l->maker, reterr));
    if (l->options.acks != NULL) {
        l->acks = fopen(l->options.acks, "w");
        if (l->acks == NULL) {
            return err_fail(reterr, ERR_IO, "%s cannot be written", l->options.acks);
        }
    }
    o.maker = l->maker;
    o.acks = l->acks;
    TRY(drive_start(&o, &l->drive, reterr));
    run_phases(l);
    *ret_code = report(l);
    if (l->acks != NULL && fflush(l->acks) != 0) {
        return err_fail(reterr, ERR_IO, "%s cannot be written", l->options.acks);
    }
    return err_ok();
}

static err run_watch(struct load *l, int *ret_code, struct errtext *reterr)
{
    struct watched w = {0};
    uint64_t cpu = cpu_ns();
    say_phase("measuring");
    TRY(watcher_run(&l->options, l->loop, l->tls, &w, reterr));
    say_phase("measured");
    const struct histogram *h = &w.behind;
    printf("{\"streams\":%u,\"records\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"measured_ns\":%" PRIu64
           ",\"client_cpu_ns\":%" PRIu64,
           l->options.clients, w.records, w.bytes, w.took_ns, cpu_ns() - cpu);
    printf(",\"behind_p50_ns\":%" PRIu64 ",\"behind_p99_ns\":%" PRIu64 ",\"behind_max_ns\":%" PRIu64
           "}\n",
           histogram_at(h, 500), histogram_at(h, 990), h->max_ns);
    *ret_code = 0;
    return err_ok();
}

static err run_check(struct load *l, int *ret_code, struct errtext *reterr)
{
    struct check_counts c = {0};
    TRY(check_run(&l->options, l->loop, l->tls, &c, reterr));
    printf("{\"asked\":%" PRIu64 ",\"found\":%" PRIu64 ",\"accepted\":%" PRIu64 "}\n", c.asked,
           c.found, c.accepted);
    if (c.found < c.asked) {
        fprintf(stderr, "concordat-load: %" PRIu64 " are missing; of the last one: %s\n",
                c.asked - c.found, reterr->text);
    }
    *ret_code = c.found == c.asked && c.asked > 0 ? 0 : 1;
    return err_ok();
}

int main(int argc, char **argv)
{
    static struct load l;
    struct errtext why = {""};
    int code = options_parse(argc, argv, &l.options);
    if (code >= 0) {
        return code;
    }
    code = 1;
    err e = loop_new(&l.loop, &why);
    if (!failed(e)) {
        e = connect_tls(&l.options, &l.tls, &why);
    }
    if (!failed(e)) {
        e = l.options.check != NULL ? run_check(&l, &code, &why)
            : l.options.watch > 0   ? run_watch(&l, &code, &why)
                                    : run_load(&l, &code, &why);
    }
    if (failed(e)) {
        fprintf(stderr, "concordat-load: %s\n", why.text);
        code = 2;
    }
    drive_free(l.drive);
    maker_free(l.maker);
    tls_ctx_free(l.tls);
    loop_free(l.loop);
    if (l.acks != NULL) {
        fclose(l.acks);
    }
    return code;
}
