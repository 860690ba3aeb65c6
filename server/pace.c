#include "server/pace.h"

#include "base/clock.h"
#include "base/require.h"

void pace_note(struct pace_worst *w, uint64_t us)
{
    require(w->at < PACE_SECONDS);
    w->seconds[w->at] = us > w->seconds[w->at] ? us : w->seconds[w->at];
    w->ever = us > w->ever ? us : w->ever;
}

static void turn(struct pace_worst *w)
{
    w->at = (w->at + 1) % PACE_SECONDS;
    w->seconds[w->at] = 0;
}

void pace_second(struct pace *p)
{
    turn(&p->stall);
    turn(&p->heartbeat);
}

uint64_t pace_minute(const struct pace_worst *w)
{
    uint64_t worst = 0;
    for (uint32_t i = 0; i < PACE_SECONDS; i++) {
        worst = w->seconds[i] > worst ? w->seconds[i] : worst;
    }
    return worst;
}

void pace_heard(struct pace *p, uint64_t leader, uint64_t term, uint64_t now_ns)
{
    require(leader != 0);
    bool again = p->leader == leader && p->term == term && now_ns > p->heard_ns;
    uint64_t since_ns = again ? now_ns - p->heard_ns : 0;
    if (since_ns > p->heartbeat_ns) {
        pace_note(&p->heartbeat, (since_ns - p->heartbeat_ns) / NS_PER_US);
    }
    p->leader = leader;
    p->term = term;
    p->heard_ns = now_ns;
}
