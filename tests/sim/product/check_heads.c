#include "tests/sim/product/check_heads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "server/heads_note.h"
#include "tests/sim/product/fixture.h"

enum { HEAD_FRAME = 20, EVIDENCE_FRAME = 21 };

void heads_check_clear(struct signed_heads *t)
{
    free(t->roots);
    *t = (struct signed_heads){0};
}

/* Whether the note bears a line of this machine's witness key: its name ends in "/ID". */
static bool signed_by(const struct machine *m, const struct note *note)
{
    char end[24];
    snprintf(end, sizeof end, "/%llu", (unsigned long long)m->id);
    size_t size = strlen(end);
    for (size_t i = 0; i < note->signature_count; i++) {
        struct bytes name = note->signatures[i].name;
        if (name.size > size && memcmp(name.data + name.size - size, end, size) == 0) {
            return true;
        }
    }
    return false;
}

static uint64_t beginning_of(const struct merkle_hash *root)
{
    uint64_t value;
    memcpy(&value, root->bytes, sizeof value);
    return value | 1;
}

static void check_head(struct machine *m, struct signed_heads *t, const struct merkle_head *head)
{
    uint64_t root = beginning_of(&head->root);
    if (head->size >= t->capacity) {
        size_t capacity = (size_t)head->size + 1024;
        t->roots = mem_resize(t->roots, capacity, sizeof *t->roots);
        memset(t->roots + t->capacity, 0,
               (capacity - t->capacity) * sizeof *t->roots);
        t->capacity = capacity;
    }
    if (t->roots[head->size] != 0 && t->roots[head->size] != root) {
        violation(m->world, "node %llu signs two roots of %llu records", (unsigned long long)m->id,
                  (unsigned long long)head->size);
    }
    if (t->roots[head->size] == 0 && head->size < t->largest) {
        violation(m->world, "node %llu signs a head of %llu records after one of %llu",
                  (unsigned long long)m->id, (unsigned long long)head->size,
                  (unsigned long long)t->largest);
    }
    m->world->counts.heads += t->roots[head->size] == 0;
    t->roots[head->size] = root;
    t->largest = head->size > t->largest ? head->size : t->largest;
}

void heads_check_sent(struct machine *m, struct signed_heads *t, uint8_t type, struct bytes frame)
{
    struct note note;
    struct merkle_head head;
    if (type == HEAD_FRAME && frame.size > 1) {
        struct bytes wire = bytes_of(frame.data + 1, frame.size - 1);
        bool read = heads_note_read(bytes_text(FIXTURE_ORIGIN), wire, &note, &head);
        require(read);
        if (signed_by(m, &note)) {
            check_head(m, t, &head);
        }
    } else if (type == EVIDENCE_FRAME) { /* every node here is honest */
        violation(m->world, "node %llu accuses another", (unsigned long long)m->id);
    }
}
