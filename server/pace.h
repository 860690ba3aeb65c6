/* How late a node is: the figures that tell an operator whether anything holds up its loop.
 *
 *   stall      a turn of the loop, from the end of its wait to the next one: whatever else is due
 *              waits that long
 *   heartbeat  beyond the heartbeat interval: of a leader, until it sent the next round; of another
 *              node, until it heard its leader again (of the same term: elections do not count)
 *
 * Each is kept as the worst of the last minute and the worst since the start, in microseconds.
 * Pure; loop thread. */
#ifndef SERVER_PACE_H
#define SERVER_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum { PACE_SECONDS = 60 };

struct pace_worst {
    uint64_t seconds[PACE_SECONDS]; /* the worst of each of the last seconds: a ring */
    uint32_t at;                    /* the one under way */
    uint64_t ever;
};

struct pace {
    struct pace_worst stall, heartbeat;
    uint64_t leader, term; /* who was heard last as leader; 0: nobody */
    uint64_t heard_ns;     /* monotonic */
    uint64_t heartbeat_ns; /* the interval */
};

/* All zero but the interval is a fresh one. */
void pace_note(struct pace_worst *w, uint64_t us);

/* A second is over: the oldest of the minute is forgotten. */
void pace_second(struct pace *p);

/* The worst of the last PACE_SECONDS, the second under way included. */
uint64_t pace_minute(const struct pace_worst *w);

/* The leader of a term was heard at that monotonic time. */
void pace_heard(struct pace *p, uint64_t leader, uint64_t term, uint64_t now_ns);

#endif
