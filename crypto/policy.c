#include "crypto/policy.h"

#include "base/hex.h"
#include "base/require.h"
#include "crypto/lines.h"
#include "crypto/sha256.h"

/* A witness or a group; members are earlier names, so a walk in order settles everything. */
struct named {
    struct bytes name;
    struct note_key key;  /* of a witness */
    uint32_t needed;      /* of a group: so many members; 0: it is a witness */
    uint32_t *members;    /* of a group: their numbers */
    uint32_t member_count;
    bool taken;           /* it is a member of a group */
};

/* How long a key counts, in tree sizes: from <= size, size < until. */
struct validity {
    struct note_key key;
    uint64_t from, until;
};

struct policy {
    struct note_key logs[POLICY_LOGS_MAX];
    size_t log_count;
    struct named names[POLICY_NAMES_MAX];
    uint32_t name_count;
    struct validity validities[POLICY_LOGS_MAX + POLICY_NAMES_MAX];
    size_t validity_count;
    bool has_quorum;
    uint32_t quorum; /* number of a name; POLICY_NAMES_MAX: none is asked for */
};

/* ---- reading ---- */

struct reader {
    struct policy *p;
    struct arena *a;
    struct bytes rest; /* of the line */
    size_t line;
    struct errtext *why;
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* The next word of the line; empty at its end. */
static struct bytes word(struct reader *r)
{
    size_t at = 0;
    while (at < r->rest.size && is_blank(r->rest.data[at])) {
        at++;
    }
    size_t end = at;
    while (end < r->rest.size && !is_blank(r->rest.data[end])) {
        end++;
    }
    struct bytes w = bytes_of(r->rest.data + at, end - at);
    r->rest = bytes_of(r->rest.data + end, r->rest.size - end);
    return w;
}

/* A key may be followed by the address of its owner, which is no concern of a check. */
static void skip_url(struct reader *r)
{
    (void)word(r);
}

static err bad(struct reader *r, enum err_code code, const char *what)
{
    return err_fail(r->why, code, "policy, line %zu: %s", r->line, what);
}

static err read_key(struct reader *r, enum note_kind kind, struct note_key *ret)
{
    err e = note_key_parse(word(r), ret, r->why);
    if (failed(e)) {
        return err_wrapf(r->why, e, "policy, line %zu", r->line);
    }
    return ret->kind == kind ? e
                             : bad(r, ERR_INVALID,
                                   kind == NOTE_ED25519 ? "the key is not a log's (0x01)"
                                                        : "the key is not a witness's (0x04)");
}

/* The number of a name; POLICY_NAMES_MAX if there is none. */
static uint32_t find(const struct policy *p, struct bytes name)
{
    for (uint32_t i = 0; i < p->name_count; i++) {
        if (bytes_equal(p->names[i].name, name)) {
            return i;
        }
    }
    return POLICY_NAMES_MAX;
}

static err read_log(struct reader *r)
{
    struct policy *p = r->p;
    struct note_key key;
    if (p->log_count == POLICY_LOGS_MAX) {
        return bad(r, ERR_LIMIT, "too many logs");
    }
    TRY(read_key(r, NOTE_ED25519, &key));
    for (size_t i = 0; i < p->log_count; i++) {
        if (memcmp(p->logs[i].public, key.public, sizeof key.public) == 0) {
            return bad(r, ERR_INVALID, "this log's key stands there already");
        }
    }
    p->logs[p->log_count++] = key;
    skip_url(r);
    return err_ok();
}

/* A new name with nothing else yet. */
static err read_name(struct reader *r, struct named **ret)
{
    struct policy *p = r->p;
    struct bytes name = word(r);
    if (p->name_count == POLICY_NAMES_MAX) {
        return bad(r, ERR_LIMIT, "too many witnesses and groups");
    }
    if (name.size == 0 || bytes_equal(name, bytes_text("none"))) {
        return bad(r, ERR_INVALID, "a name is missing, or is 'none'");
    }
    if (find(p, name) < POLICY_NAMES_MAX) {
        return bad(r, ERR_INVALID, "the name is defined already");
    }
    *ret = &p->names[p->name_count];
    (*ret)->name = name;
    return err_ok();
}

static err read_witness(struct reader *r)
{
    struct named *n = NULL;
    TRY(read_name(r, &n));
    TRY(read_key(r, NOTE_COSIGNATURE, &n->key));
    for (uint32_t i = 0; i < r->p->name_count; i++) {
        const struct named *o = &r->p->names[i];
        if (o->needed == 0 && memcmp(o->key.public, n->key.public, SIGN_PUBLIC_SIZE) == 0) {
            return bad(r, ERR_INVALID, "this witness's key stands there already");
        }
    }
    r->p->name_count++;
    skip_url(r);
    return err_ok();
}

static err read_group(struct reader *r)
{
    struct named *n = NULL;
    uint64_t needed = 0;
    TRY(read_name(r, &n));
    struct bytes how = word(r);
    bool all = bytes_equal(how, bytes_text("all"));
    if (bytes_equal(how, bytes_text("any"))) {
        needed = 1;
    } else if (!all && (!lines_decimal(how, &needed) || needed == 0)) {
        return bad(r, ERR_INVALID, "how many of the group? all, any, or a number from 1");
    }
    n->members = arena_new(r->a, POLICY_NAMES_MAX, sizeof *n->members);
    for (struct bytes w = word(r); w.size > 0; w = word(r)) {
        uint32_t member = find(r->p, w);
        if (member == POLICY_NAMES_MAX) {
            return bad(r, ERR_INVALID, "a member that no line before this one defines");
        }
        if (r->p->names[member].taken) {
            return bad(r, ERR_INVALID, "a member that a group has already");
        }
        r->p->names[member].taken = true;
        n->members[n->member_count++] = member;
    }
    needed = all ? n->member_count : needed;
    if (n->member_count == 0 || needed > n->member_count) {
        return bad(r, ERR_INVALID, "the group has too few members");
    }
    n->needed = (uint32_t)needed;
    r->p->name_count++;
    return err_ok();
}

static err read_quorum(struct reader *r)
{
    struct bytes name = word(r);
    uint32_t number = find(r->p, name);
    if (r->p->has_quorum) {
        return bad(r, ERR_INVALID, "a second quorum line");
    }
    if (number == POLICY_NAMES_MAX && !bytes_equal(name, bytes_text("none"))) {
        return bad(r, ERR_INVALID, "the quorum is a name that no line before this one defines");
    }
    r->p->has_quorum = true;
    r->p->quorum = number;
    return err_ok();
}

/* "valid VKEY FROM UNTIL" of a comment; UNTIL '-': for ever. */
static err read_valid(struct reader *r)
{
    struct policy *p = r->p;
    if (p->validity_count == POLICY_LOGS_MAX + POLICY_NAMES_MAX) {
        return bad(r, ERR_LIMIT, "too many lines of validity");
    }
    struct validity *v = &p->validities[p->validity_count];
    err e = note_key_parse(word(r), &v->key, r->why);
    if (failed(e)) {
        return err_wrapf(r->why, e, "policy, line %zu", r->line);
    }
    bool from = lines_decimal(word(r), &v->from);
    struct bytes until = word(r);
    bool ever = bytes_equal(until, bytes_text("-"));
    v->until = UINT64_MAX;
    if (!from || (!ever && !lines_decimal(until, &v->until)) || v->from > v->until) {
        return bad(r, ERR_INVALID, "validity reads FROM UNTIL in tree sizes, UNTIL '-' for ever");
    }
    p->validity_count++;
    return err_ok();
}

static err read_line(struct reader *r)
{
    struct bytes first = word(r);
    err e = err_ok();
    if (first.size == 0) {
        return e;
    }
    if (first.data[0] == '#') {
        bool valid = first.size == 1 && bytes_equal(word(r), bytes_text("valid"));
        return valid ? read_valid(r) : e;
    }
    if (bytes_equal(first, bytes_text("log"))) {
        e = read_log(r);
    } else if (bytes_equal(first, bytes_text("witness"))) {
        e = read_witness(r);
    } else if (bytes_equal(first, bytes_text("group"))) {
        e = read_group(r);
    } else if (bytes_equal(first, bytes_text("quorum"))) {
        e = read_quorum(r);
    } else {
        return bad(r, ERR_INVALID, "log, witness, group or quorum expected");
    }
    return !failed(e) && word(r).size > 0 ? bad(r, ERR_INVALID, "too many words") : e;
}

err policy_parse(struct bytes text, struct arena *a, struct policy **ret, struct errtext *reterr)
{
    struct bytes rest = text;
    if (text.size > POLICY_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "a policy has at most %d bytes", POLICY_BYTES_MAX);
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f) {
            return err_fail(reterr, ERR_INVALID, "policy: a control character");
        }
    }
    struct reader r = {.p = arena_new(a, 1, sizeof *r.p), .a = a, .why = reterr};
    for (r.line = 1; lines_next(&rest, &r.rest); r.line++) {
        TRY(read_line(&r));
    }
    if (rest.size > 0) {
        return bad(&r, ERR_INVALID, "the last line does not end");
    }
    if (!r.p->has_quorum) {
        return err_fail(reterr, ERR_INVALID, "policy: there is no quorum line");
    }
    *ret = r.p;
    return err_ok();
}

/* ---- checking ---- */

bool policy_key_counts(const struct policy *p, const struct note_key *key, uint64_t size)
{
    for (size_t i = 0; i < p->validity_count; i++) {
        const struct validity *v = &p->validities[i];
        if (v->key.kind == key->kind && strcmp(v->key.name, key->name) == 0 &&
            memcmp(v->key.public, key->public, sizeof key->public) == 0) {
            return v->from <= size && size < v->until;
        }
    }
    return true;
}

static err forged(struct errtext *reterr, const struct note_key *key)
{
    return err_fail(reterr, ERR_DENIED, "the signature of %s is forged", key->name);
}

/* Signed by a log of this origin whose key counts. */
static err check_log(const struct policy *p, const struct note *note, const struct checkpoint *c,
                     struct verifier *v, struct errtext *reterr)
{
    bool found = false;
    for (size_t i = 0; i < p->log_count; i++) {
        const struct note_key *key = &p->logs[i];
        enum note_verdict verdict = note_signed_by(note, key, v, NULL);
        if (verdict == NOTE_FORGED) {
            return forged(reterr, key);
        }
        found = found || (verdict == NOTE_SIGNED && policy_key_counts(p, key, c->size) &&
                          bytes_equal(c->origin, bytes_text(key->name)));
    }
    return found ? err_ok()
                 : err_fail(reterr, ERR_DENIED, "no log of the policy has signed this checkpoint");
}

/* Settles groups after witnesses, and says who is missing. */
static err settle(const struct policy *p, bool done[POLICY_NAMES_MAX], struct errtext *reterr)
{
    char missing[256] = "";
    for (uint32_t i = 0; i < p->name_count; i++) {
        const struct named *n = &p->names[i];
        uint32_t count = 0;
        for (uint32_t k = 0; k < n->member_count; k++) {
            count += done[n->members[k]];
        }
        done[i] = n->needed == 0 ? done[i] : count >= n->needed;
    }
    if (p->quorum == POLICY_NAMES_MAX || done[p->quorum]) {
        return err_ok();
    }
    const struct named *q = &p->names[p->quorum];
    for (uint32_t k = 0; k < q->member_count; k++) {
        const struct named *m = &p->names[q->members[k]];
        size_t used = strlen(missing);
        if (!done[q->members[k]] && used + m->name.size + 2 < sizeof missing) {
            missing[used] = ' ';
            memcpy(missing + used + 1, m->name.data, m->name.size);
            missing[used + 1 + m->name.size] = '\0';
        }
    }
    return err_fail(reterr, ERR_DENIED, "too few have cosigned: %u are needed; missing:%s",
                    q->needed == 0 ? 1 : q->needed, missing);
}

err policy_check(const struct policy *p, const struct note *note, struct verifier *v,
                 struct checkpoint *ret, struct errtext *reterr)
{
    bool done[POLICY_NAMES_MAX] = {0};
    TRY(checkpoint_parse(note->text, ret, reterr));
    TRY(check_log(p, note, ret, v, reterr));
    for (uint32_t i = 0; i < p->name_count; i++) {
        const struct named *n = &p->names[i];
        enum note_verdict verdict = n->needed == 0 ? note_signed_by(note, &n->key, v, NULL)
                                                   : NOTE_NOT_SIGNED;
        if (verdict == NOTE_FORGED) {
            return forged(reterr, &n->key);
        }
        done[i] = verdict == NOTE_SIGNED && policy_key_counts(p, &n->key, ret->size);
    }
    return settle(p, done, reterr);
}

static bool is_key(const struct note_key *key, struct bytes name,
                   const uint8_t id[NOTE_KEY_ID_SIZE])
{
    return bytes_equal(name, bytes_text(key->name)) && memcmp(id, key->id, NOTE_KEY_ID_SIZE) == 0;
}

static struct bytes group_of(const struct policy *p, uint32_t witness)
{
    for (uint32_t i = 0; i < p->name_count; i++) {
        for (uint32_t k = 0; k < p->names[i].member_count; k++) {
            if (p->names[i].members[k] == witness) {
                return p->names[i].name;
            }
        }
    }
    return bytes_of(NULL, 0);
}

const struct note_key *policy_key(const struct policy *p, struct bytes name,
                                  const uint8_t id[NOTE_KEY_ID_SIZE], struct bytes *ret_group)
{
    for (uint32_t i = 0; i < p->name_count; i++) {
        if (p->names[i].needed == 0 && is_key(&p->names[i].key, name, id)) {
            if (ret_group != NULL) {
                *ret_group = group_of(p, i);
            }
            return &p->names[i].key;
        }
    }
    for (size_t i = 0; i < p->log_count; i++) {
        if (is_key(&p->logs[i], name, id)) {
            if (ret_group != NULL) {
                *ret_group = bytes_of(NULL, 0);
            }
            return &p->logs[i];
        }
    }
    return NULL;
}

/* Whose line it is; FORGED when it does not verify. */
static err hear(const struct policy *p, const struct note *note, size_t line, struct verifier *v,
                struct policy_voice *ret, struct errtext *reterr)
{
    const struct note_signature *s = &note->signatures[line];
    ret->key = policy_key(p, s->name, s->id, &ret->group);
    if (ret->key == NULL) {
        return err_fail(reterr, ERR_DENIED,
                        "signature line %zu (%.*s) is of a key that the policy does not name: it "
                        "was altered, or the policy is of another size than this checkpoint",
                        line + 1, (int)s->name.size, (const char *)s->name.data);
    }
    return note_signed_by(note, ret->key, v, &ret->time_s) == NOTE_SIGNED
               ? err_ok()
               : forged(reterr, ret->key);
}

err policy_check_every(const struct policy *p, const struct note *note, struct verifier *v,
                       struct checkpoint *ret, struct policy_voices *ret_voices,
                       struct errtext *reterr)
{
    const struct note_key *keys[NOTE_SIGNATURES_MAX];
    bool logged = false;
    *ret_voices = (struct policy_voices){0};
    TRY(checkpoint_parse(note->text, ret, reterr));
    for (size_t i = 0; i < note->signature_count; i++) {
        struct policy_voice *voice = &ret_voices->list[i];
        TRY(hear(p, note, i, v, voice, reterr));
        voice->counts = policy_key_counts(p, voice->key, ret->size);
        logged = logged || (voice->counts && voice->key->kind == NOTE_ED25519 &&
                            bytes_equal(ret->origin, bytes_text(voice->key->name)));
        keys[i] = voice->key;
        ret_voices->count++;
    }
    return logged ? policy_quorum(p, ret->size, keys, note->signature_count, reterr)
                  : err_fail(reterr, ERR_DENIED, "no log of the policy has signed this checkpoint");
}

err policy_quorum(const struct policy *p, uint64_t size, const struct note_key *const keys[],
                  size_t count, struct errtext *reterr)
{
    bool done[POLICY_NAMES_MAX] = {0};
    for (uint32_t i = 0; i < p->name_count; i++) {
        for (size_t k = 0; k < count; k++) {
            done[i] = done[i] || (keys[k] == &p->names[i].key &&
                                  policy_key_counts(p, keys[k], size));
        }
    }
    return settle(p, done, reterr);
}

/* ---- the seal ---- */

static const char SEAL[] = "# sha256 ";

enum { SEAL_LINE_SIZE = sizeof SEAL - 1 + 2 * SHA256_SIZE + 1 };

static void seal_of(struct bytes text, char ret[SEAL_LINE_SIZE + 1])
{
    uint8_t digest[SHA256_SIZE];
    sha256(text.data, text.size, digest);
    memcpy(ret, SEAL, sizeof SEAL - 1);
    hex_encode(bytes_of(digest, sizeof digest), ret + sizeof SEAL - 1);
    ret[SEAL_LINE_SIZE - 1] = '\n';
    ret[SEAL_LINE_SIZE] = '\0';
}

void policy_seal(struct buf *text)
{
    char line[SEAL_LINE_SIZE + 1];
    require(text->size > 0 && text->data[text->size - 1] == '\n');
    seal_of(buf_bytes(text), line);
    buf_put_text(text, line);
}

err policy_sealed(struct bytes text, struct errtext *reterr)
{
    char line[SEAL_LINE_SIZE + 1];
    struct bytes last = bytes_of(NULL, 0);
    if (text.size > SEAL_LINE_SIZE) {
        last = bytes_of(text.data + text.size - SEAL_LINE_SIZE, SEAL_LINE_SIZE);
    }
    if (!bytes_has_prefix(last, bytes_text(SEAL)) || last.data[SEAL_LINE_SIZE - 1] != '\n' ||
        last.data[-1] != '\n') {
        return err_fail(reterr, ERR_INVALID, "policy: the last line is no seal '# sha256 HEX'");
    }
    seal_of(bytes_of(text.data, text.size - SEAL_LINE_SIZE), line);
    return bytes_equal(last, bytes_text(line))
               ? err_ok()
               : err_fail(reterr, ERR_INVALID, "policy: it was altered: the seal is not its own");
}
