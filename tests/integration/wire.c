/* The network of a test: one TUN device in each network namespace, and this program as the wire
 * between them. It carries IPv4 packets and, for each ordered pair of places, loses, delays and
 * reorders them as it is told; so a link can be cut one way, which no interface can do.
 *
 *   wire SEED NAME=NAMESPACE=ADDRESS...      NAMESPACE: a file as /run/netns/a or /proc/self/ns/net
 *   standard input:  "FROM TO LOSS DELAY JITTER\n"  names; LOSS of 1000 packets; microseconds
 *   standard output: "ready\n", then "ok\n" for each line obeyed; it ends when the input ends.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    PLACES_MAX = 8,
    PACKET_MAX = 9200,   /* the MTU of the devices is 9000 */
    QUEUE_MAX = 1 << 14, /* packets under way; more are lost, as in a router */
    LINE_MAX_BYTES = 256,
    IP_HEADER = 20,
    IP_TO = 16, /* offset of the destination, RFC 791 section 3.1 */
    LOSS_ALL = 1000,
};

struct place {
    char name[32];
    uint32_t address; /* network order */
    int fd;
};

struct link {
    uint32_t loss, delay_us, jitter_us;
};

struct packet {
    uint64_t due_ns, number; /* equal times leave in the order of arrival */
    size_t to, size;
    uint8_t bytes[PACKET_MAX];
};

struct wire {
    struct place places[PLACES_MAX];
    size_t places_count;
    struct link links[PLACES_MAX][PLACES_MAX];
    struct packet *heap[QUEUE_MAX]; /* the smallest due time first */
    size_t heap_count;
    uint64_t random, numbers;
    char line[LINE_MAX_BYTES];
    size_t line_size;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0) {
        die("clock");
    }
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static uint64_t draw(struct wire *w, uint64_t below)
{
    w->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t z = w->random;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

/* ---- packets under way ---- */

static bool sooner(const struct packet *a, const struct packet *b)
{
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->number < b->number);
}

static void swap(struct wire *w, size_t i, size_t k)
{
    struct packet *p = w->heap[i];
    w->heap[i] = w->heap[k];
    w->heap[k] = p;
}

static void push(struct wire *w, struct packet *p)
{
    size_t i = w->heap_count++;
    w->heap[i] = p;
    while (i > 0 && sooner(w->heap[i], w->heap[(i - 1) / 2])) {
        swap(w, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static struct packet *pop(struct wire *w)
{
    struct packet *first = w->heap[0];
    w->heap[0] = w->heap[--w->heap_count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < w->heap_count; k++) {
            least = sooner(w->heap[k], w->heap[least]) ? k : least;
        }
        if (least == i) {
            return first;
        }
        swap(w, i, least);
        i = least;
    }
}

static void deliver(struct wire *w)
{
    uint64_t now = now_ns();
    while (w->heap_count > 0 && w->heap[0]->due_ns <= now) {
        struct packet *p = pop(w);
        ssize_t sent = write(w->places[p->to].fd, p->bytes, p->size);
        (void)sent; /* A device that takes no packet now loses it: so does a cable. */
        free(p);
    }
}

/* Reads all packets that one place has sent, and gives each its fate. */
static void take(struct wire *w, size_t from)
{
    for (;;) {
        struct packet *p = malloc(sizeof *p);
        if (p == NULL) {
            die("memory");
        }
        ssize_t size = read(w->places[from].fd, p->bytes, sizeof p->bytes);
        if (size <= 0) {
            free(p);
            return;
        }
        uint32_t address = 0;
        size_t to = w->places_count;
        if (size >= IP_HEADER && p->bytes[0] >> 4 == 4) {
            memcpy(&address, p->bytes + IP_TO, sizeof address);
            for (to = 0; to < w->places_count && w->places[to].address != address; to++) {
            }
        }
        if (to == w->places_count || w->heap_count == QUEUE_MAX ||
            draw(w, LOSS_ALL) < w->links[from][to].loss) {
            free(p);
            continue;
        }
        const struct link *l = &w->links[from][to];
        uint64_t late_us = l->delay_us + (l->jitter_us == 0 ? 0 : draw(w, l->jitter_us));
        p->due_ns = now_ns() + late_us * 1000U;
        p->number = w->numbers++;
        p->size = (size_t)size;
        p->to = to;
        push(w, p);
    }
}

/* ---- what we are told ---- */

static size_t find(const struct wire *w, const char *name)
{
    for (size_t i = 0; i < w->places_count; i++) {
        if (strcmp(w->places[i].name, name) == 0) {
            return i;
        }
    }
    fprintf(stderr, "wire: no place '%s'\n", name);
    exit(1);
}

static void obey(struct wire *w, const char *line)
{
    char from[32];
    char to[32];
    struct link l;
    if (sscanf(line, "%31s %31s %u %u %u", from, to, &l.loss, &l.delay_us, &l.jitter_us) != 5) {
        fprintf(stderr, "wire: cannot read '%s'\n", line);
        exit(1);
    }
    w->links[find(w, from)][find(w, to)] = l;
    printf("ok\n");
    fflush(stdout);
}

static void listen_to(struct wire *w)
{
    ssize_t size = read(0, w->line + w->line_size, sizeof w->line - 1 - w->line_size);
    if (size <= 0) {
        exit(0);
    }
    w->line_size += (size_t)size;
    w->line[w->line_size] = '\0';
    for (char *end = strchr(w->line, '\n'); end != NULL; end = strchr(w->line, '\n')) {
        *end = '\0';
        obey(w, w->line);
        w->line_size -= (size_t)(end + 1 - w->line);
        memmove(w->line, end + 1, w->line_size + 1);
    }
    if (w->line_size == sizeof w->line - 1) {
        fprintf(stderr, "wire: a line is too long\n");
        exit(1);
    }
}

/* ---- opening ---- */

/* Opens the device "wire0" in the namespace; it stays ours after we have gone home. */
static void open_place(struct wire *w, int home, const char *text)
{
    struct place *p = &w->places[w->places_count++];
    char path[256];
    char address[32];
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    if (sscanf(text, "%31[^=]=%255[^=]=%31s", p->name, path, address) != 3 ||
        inet_pton(AF_INET, address, &p->address) != 1) {
        fprintf(stderr, "wire: '%s' is not NAME=NAMESPACE=ADDRESS\n", text);
        exit(2);
    }
    int there = open(path, O_RDONLY | O_CLOEXEC);
    if (there < 0 || setns(there, CLONE_NEWNET) != 0) {
        die(path);
    }
    snprintf(request.ifr_name, sizeof request.ifr_name, "wire0");
    p->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (p->fd < 0 || ioctl(p->fd, TUNSETIFF, &request) != 0) {
        die("/dev/net/tun");
    }
    if (setns(home, CLONE_NEWNET) != 0) {
        die("setns");
    }
    close(there);
}

static void carry(struct wire *w)
{
    struct pollfd polled[PLACES_MAX + 1] = {{.fd = 0, .events = POLLIN}};
    for (size_t i = 0; i < w->places_count; i++) {
        polled[i + 1] = (struct pollfd){.fd = w->places[i].fd, .events = POLLIN};
    }
    for (;;) {
        struct timespec wait = {3600, 0};
        if (w->heap_count > 0) {
            uint64_t now = now_ns();
            uint64_t due = w->heap[0]->due_ns;
            uint64_t left = due > now ? due - now : 0;
            wait = (struct timespec){(time_t)(left / 1000000000U), (long)(left % 1000000000U)};
        }
        if (ppoll(polled, w->places_count + 1, &wait, NULL) < 0) {
            die("poll");
        }
        for (size_t i = 0; i < w->places_count; i++) {
            if (polled[i + 1].revents != 0) {
                take(w, i);
            }
        }
        if (polled[0].revents != 0) {
            listen_to(w);
        }
        deliver(w);
    }
}

int main(int argc, char **argv)
{
    static struct wire w;
    if (argc < 3 || argc - 2 > PLACES_MAX) {
        fprintf(stderr, "usage: wire SEED NAME=NAMESPACE=ADDRESS...\n");
        return 2;
    }
    w.random = strtoull(argv[1], NULL, 10);
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0) {
        die("/proc/self/ns/net");
    }
    for (int i = 2; i < argc; i++) {
        open_place(&w, home, argv[i]);
    }
    printf("ready\n");
    fflush(stdout);
    carry(&w);
    return 0;
}
