#include "server/heads_plan.h"

#include <string.h>

#include "base/require.h"

void heads_plan_init(struct heads_plan *p, uint64_t self, uint64_t interval_ns)
{
    require(p != NULL);
    require(interval_ns > 0);
    *p = (struct heads_plan){
        .self = self, .interval_ns = interval_ns, .patience = HEADS_PATIENCE};
}

static struct heads_signer *signer_of(struct heads_plan *p, uint64_t id)
{
    for (size_t i = 0; i < p->signer_count; i++) {
        if (p->signers[i].id == id) {
            return &p->signers[i];
        }
    }
    return NULL;
}

static const struct heads_signer *find(const struct heads_plan *p, uint64_t id)
{
    return signer_of((struct heads_plan *)(uintptr_t)p, id);
}

void heads_plan_signers(struct heads_plan *p, const struct heads_signer rows[], size_t count,
                        uint32_t institutions)
{
    struct heads_signer before[NODES_MAX];
    size_t before_count = p->signer_count;
    require(count <= NODES_MAX);
    require(institutions <= INSTITUTIONS_MAX);
    memcpy(before, p->signers, before_count * sizeof *before);
    p->institutions = institutions;
    p->signer_count = count;
    for (size_t i = 0; i < count; i++) {
        struct heads_signer *s = &p->signers[i];
        require(i == 0 || rows[i - 1].id < rows[i].id);
        require(rows[i].institution < INSTITUTIONS_MAX);
        *s = (struct heads_signer){
            .id = rows[i].id, .institution = rows[i].institution, .counts = rows[i].counts};
        for (size_t k = 0; k < before_count; k++) {
            if (before[k].id == s->id) {
                memcpy(s->said, before[k].said, sizeof s->said);
            }
        }
    }
}

static struct heads_said *place_of(struct heads_signer *s, uint64_t size)
{
    struct heads_said *least = &s->said[0];
    for (size_t i = 0; i < HEADS_KEPT; i++) {
        if (s->said[i].head.size == size) {
            return &s->said[i];
        }
        least = s->said[i].head.size < least->head.size ? &s->said[i] : least;
    }
    return least;
}

static void keep(struct heads_said *place, const struct merkle_head *head, struct bytes lines)
{
    require(lines.size <= HEAD_LINES_BYTES_MAX);
    place->head = *head;
    place->judgement = HEADS_UNJUDGED;
    place->lines_size = lines.size;
    memcpy(place->lines, lines.data, lines.size);
}

static void keep_own(struct heads_plan *p, const struct merkle_head *head, struct bytes lines)
{
    struct heads_signer *self = signer_of(p, p->self);
    if (self != NULL) {
        struct heads_said *place = place_of(self, head->size);
        keep(place, head, lines);
        place->judgement = HEADS_EQUAL;
    }
}

static uint64_t largest_of(const struct heads_signer *s)
{
    uint64_t most = 0;
    for (size_t i = 0; s != NULL && i < HEADS_KEPT; i++) {
        most = s->said[i].head.size > most ? s->said[i].head.size : most;
    }
    return most;
}

/* Keeps uncovered_ns: `fresh`: the leader has just proposed, or there is another one. */
static void cover(struct heads_plan *p, bool fresh, uint64_t now_ns)
{
    uint64_t proposed = largest_of(find(p, p->leader));
    uint64_t covered = proposed > p->signed_size ? proposed : p->signed_size;
    if (p->reached <= covered) {
        p->uncovered_ns = 0;
    } else if (p->uncovered_ns == 0 || fresh) {
        p->uncovered_ns = now_ns == 0 ? 1 : now_ns;
    }
}

void heads_plan_resume(struct heads_plan *p, const struct merkle_head *head, struct bytes lines)
{
    require(head->size > 0);
    require(p->signed_size == 0);
    p->signed_size = head->size;
    keep_own(p, head, lines);
}

void heads_plan_leader(struct heads_plan *p, uint64_t leader, uint64_t now_ns)
{
    if (leader != p->leader) {
        p->leader = leader;
        cover(p, true, now_ns);
    }
}

void heads_plan_reached(struct heads_plan *p, uint64_t size, uint64_t now_ns)
{
    p->reached = size; /* less than before after a repair; what was signed stays signed */
    cover(p, false, now_ns);
}

enum heads_heard heads_plan_hear(struct heads_plan *p, const struct heads_saying *s,
                                 uint64_t now_ns, const struct heads_said **ret_other)
{
    struct heads_signer *signer = signer_of(p, s->node);
    if (signer == NULL || s->head.size == 0) {
        return HEADS_STRANGER;
    }
    struct heads_said *place = place_of(signer, s->head.size);
    if (place->head.size == s->head.size) {
        bool same = memcmp(&place->head.root, &s->head.root, sizeof s->head.root) == 0;
        *ret_other = place;
        return same ? HEADS_KNOWN : HEADS_TWO_FACED;
    }
    if (place->head.size > s->head.size || s->node == p->self) {
        return HEADS_KNOWN;
    }
    keep(place, &s->head, s->lines);
    cover(p, s->node == p->leader, now_ns);
    return HEADS_NEW;
}

bool heads_plan_judge(const struct heads_plan *p, uint64_t *ret_node, struct merkle_head *ret)
{
    for (size_t i = 0; i < p->signer_count; i++) {
        for (size_t k = 0; k < HEADS_KEPT; k++) {
            const struct heads_said *said = &p->signers[i].said[k];
            if (said->head.size != 0 && said->head.size <= p->reached &&
                said->judgement == HEADS_UNJUDGED) {
                *ret_node = p->signers[i].id;
                *ret = said->head;
                return true;
            }
        }
    }
    return false;
}

void heads_plan_judged(struct heads_plan *p, uint64_t node, uint64_t size, bool equal)
{
    struct heads_signer *s = signer_of(p, node);
    require(s != NULL);
    struct heads_said *said = place_of(s, size);
    require(said->head.size == size);
    said->judgement = equal ? HEADS_EQUAL : HEADS_OTHER;
}

const struct heads_said *heads_plan_said(const struct heads_plan *p, uint64_t node, uint64_t size)
{
    struct heads_signer *s = signer_of((struct heads_plan *)(uintptr_t)p, node);
    const struct heads_said *said = s == NULL || size == 0 ? NULL : place_of(s, size);
    return said != NULL && said->head.size == size ? said : NULL;
}

/* ---- signing ---- */

/* The largest size that this signer has said, this node has reached and not signed; 0: none. */
static uint64_t wanted_by(const struct heads_plan *p, const struct heads_signer *s)
{
    uint64_t most = 0;
    for (size_t i = 0; s != NULL && i < HEADS_KEPT; i++) {
        uint64_t size = s->said[i].head.size;
        most = size > p->signed_size && size <= p->reached && size > most ? size : most;
    }
    return most;
}

static uint64_t rank_of_self(const struct heads_plan *p)
{
    uint64_t rank = 0;
    for (size_t i = 0; i < p->signer_count && p->signers[i].id != p->self; i++) {
        rank++;
    }
    return rank;
}

/* Now, or not before `due_ns`. */
static uint64_t when(uint64_t size, uint64_t due_ns, uint64_t now_ns, uint64_t *ret_again_ns)
{
    if (now_ns >= due_ns) {
        return size;
    }
    *ret_again_ns = due_ns < *ret_again_ns ? due_ns : *ret_again_ns;
    return 0;
}

static uint64_t propose(const struct heads_plan *p, uint64_t now_ns, uint64_t *ret_again_ns)
{
    if (p->reached <= p->signed_size) {
        return 0;
    }
    uint64_t intervals = p->complete >= p->signed_size ? 1 : p->patience;
    uint64_t due_ns = p->signed_ns == 0 ? 0 : p->signed_ns + intervals * p->interval_ns;
    return when(p->reached, due_ns, now_ns, ret_again_ns);
}

/* The leader says nothing: then anybody's word is taken, and at last this node proposes. */
static uint64_t without_leader(const struct heads_plan *p, uint64_t now_ns, uint64_t *ret_again_ns)
{
    uint64_t most = 0;
    if (p->uncovered_ns == 0) {
        return 0;
    }
    uint64_t silent_ns = p->uncovered_ns + HEADS_PATIENCE * p->interval_ns;
    if (now_ns < silent_ns) {
        return when(0, silent_ns, now_ns, ret_again_ns);
    }
    for (size_t i = 0; i < p->signer_count; i++) {
        uint64_t size = wanted_by(p, &p->signers[i]);
        most = size > most ? size : most;
    }
    if (most > 0) {
        return most;
    }
    uint64_t turn_ns = silent_ns + rank_of_self(p) * p->interval_ns;
    return p->reached > p->signed_size ? when(p->reached, turn_ns, now_ns, ret_again_ns) : 0;
}

uint64_t heads_plan_sign(const struct heads_plan *p, uint64_t now_ns, uint64_t *ret_again_ns)
{
    const struct heads_signer *self = find(p, p->self);
    *ret_again_ns = UINT64_MAX;
    if (p->signing || self == NULL || !self->counts) {
        return 0;
    }
    if (p->leader == p->self) {
        return propose(p, now_ns, ret_again_ns);
    }
    uint64_t size = wanted_by(p, find(p, p->leader));
    size = size > 0 ? size : without_leader(p, now_ns, ret_again_ns);
    uint64_t due_ns = p->signed_ns == 0 ? 0 : p->signed_ns + p->interval_ns / 2;
    return size == 0 ? 0 : when(size, due_ns, now_ns, ret_again_ns);
}

void heads_plan_signing(struct heads_plan *p, uint64_t size, uint64_t now_ns)
{
    require(!p->signing);
    require(size > p->signed_size);
    require(size <= p->reached);
    if (p->complete >= p->signed_size) {
        p->patience = HEADS_PATIENCE;
    } else if (p->patience < HEADS_PATIENCE_MAX) {
        p->patience = 2 * p->patience < HEADS_PATIENCE_MAX ? 2 * p->patience : HEADS_PATIENCE_MAX;
    }
    p->signing = true;
    p->signed_size = size;
    p->signed_ns = now_ns == 0 ? 1 : now_ns;
}

void heads_plan_signed(struct heads_plan *p, const struct merkle_head *head, struct bytes lines,
                       uint64_t now_ns)
{
    require(p->signing);
    require(head->size == p->signed_size);
    p->signing = false;
    keep_own(p, head, lines);
    cover(p, p->leader == p->self, now_ns);
}

/* ---- what has become of it ---- */

/* Institutions of which a node that counts has said this size so judged: one bit each. */
static uint32_t voices(const struct heads_plan *p, uint64_t size, enum heads_judgement judgement)
{
    uint32_t set = 0;
    for (size_t i = 0; i < p->signer_count; i++) {
        const struct heads_signer *s = &p->signers[i];
        for (size_t k = 0; s->counts && k < HEADS_KEPT; k++) {
            bool is = s->said[k].head.size == size && s->said[k].judgement == judgement;
            set |= is ? 1U << s->institution : 0;
        }
    }
    return set;
}

static bool is_majority(const struct heads_plan *p, uint32_t set)
{
    return (uint32_t)__builtin_popcount(set) > p->institutions / 2;
}

uint64_t heads_plan_ripe(const struct heads_plan *p)
{
    uint64_t best = 0;
    for (size_t i = 0; i < p->signer_count; i++) {
        for (size_t k = 0; k < HEADS_KEPT; k++) {
            uint64_t size = p->signers[i].said[k].head.size;
            if (size > p->complete && size > best && is_majority(p, voices(p, size, HEADS_EQUAL))) {
                best = size;
            }
        }
    }
    return best;
}

void heads_plan_completed(struct heads_plan *p, uint64_t size)
{
    require(size > p->complete);
    p->complete = size;
}

enum heads_standing heads_plan_standing(const struct heads_plan *p)
{
    enum heads_standing standing = HEADS_AT_ONE;
    uint32_t against = 0;
    for (size_t i = 0; i < p->signer_count; i++) {
        const struct heads_signer *s = &p->signers[i];
        for (size_t k = 0; s->counts && k < HEADS_KEPT; k++) {
            if (s->said[k].head.size == 0 || s->said[k].judgement != HEADS_OTHER) {
                continue;
            }
            against |= 1U << s->institution;
            bool with = is_majority(p, voices(p, s->said[k].head.size, HEADS_EQUAL));
            enum heads_standing one = with ? HEADS_OUTVOTED_OTHERS : HEADS_DISPUTED;
            standing = one > standing ? one : standing;
        }
    }
    return is_majority(p, against) ? HEADS_ALONE : standing;
}
