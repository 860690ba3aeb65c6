/* concordat keygen: the keys and certificates of an institution, its nodes, clients and parties. */
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/cert.h"
#include "crypto/keyfile.h"
#include "crypto/sign.h"

enum { PATH_BYTES_MAX = 4096, DAY_S = 86400, CA_DAYS = 3650, LEAF_DAYS = 825 };

/* A private key file that was written by this command, for --json and for people. */
static void tell(const struct given *g, const char *what, const char *path)
{
    if (g->json) {
        printf("{\"wrote\":\"%s\",\"what\":\"%s\"}\n", path, what);
    } else {
        printf("%s: %s\n", what, path);
    }
}

static void join_path(char *ret, const char *dir, const char *name)
{
    snprintf(ret, PATH_BYTES_MAX, "%s/%s", dir, name);
}

static err make_dir(const char *path, struct errtext *reterr)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_fail(reterr, ERR_IO, "%s: %s", path, strerror(errno));
    }
    return err_ok();
}

/* With --force an old key is removed first: a private key is never overwritten by accident. */
static void make_way(const struct given *g, const char *path)
{
    if (given_has(g, "force")) {
        unlink(path);
    }
}

/* A new Ed25519 key in PATH and its public text in PATH.pub. */
static err write_sign_key(const struct given *g, const char *what, const char *path,
                          struct errtext *reterr)
{
    char pub_path[PATH_BYTES_MAX];
    uint8_t public[SIGN_PUBLIC_SIZE];
    char text[SIGN_PUBLIC_TEXT_SIZE];
    char line[SIGN_PUBLIC_TEXT_SIZE + 1];
    struct sign_key *key = sign_key_generate();
    make_way(g, path);
    err e = sign_key_write(key, path, reterr);
    if (!failed(e)) {
        sign_key_public(key, public);
        sign_public_print(public, text);
        snprintf(line, sizeof line, "%s\n", text);
        snprintf(pub_path, sizeof pub_path, "%s.pub", path);
        e = keyfile_write_public(pub_path, bytes_text(line), reterr);
    }
    sign_key_free(key);
    if (!failed(e)) {
        tell(g, what, path);
    }
    return e;
}

static const struct option INSTITUTION_OPTIONS[] = {
    {"origin", "NAME", "name of the ledger, for example concordat.example/roquefort", false},
    {"dir", "DIR", "where the files go; made if absent", false},
    {"officer", "NAME", "also a key for this officer", true},
    {"force", NULL, "replace keys that are there", false},
    {NULL, NULL, NULL, false},
};

static err write_ca(const struct given *g, const char *institution, const char *dir,
                    struct errtext *reterr)
{
    char path[PATH_BYTES_MAX];
    int64_t now = (int64_t)time(NULL);
    struct cert *ca = NULL;
    struct cert_key *key = cert_key_generate();
    join_path(path, dir, "ca.key");
    make_way(g, path);
    err e = cert_key_write(key, path, reterr);
    if (!failed(e)) {
        e = cert_make_ca(institution, key, now - DAY_S, now + (int64_t)CA_DAYS * DAY_S, &ca);
        if (failed(e)) {
            e = err_fail(reterr, ERR_INVALID,
                         "'%s' is no name of an institution (lower-case letters, digits, '-')",
                         institution);
        }
    }
    if (!failed(e)) {
        join_path(path, dir, "ca.crt");
        e = cert_write(ca, path, reterr);
    }
    cert_free(ca);
    cert_key_free(key);
    if (!failed(e)) {
        tell(g, "certificate authority", path);
    }
    return e;
}

static int run_institution(const struct given *g)
{
    struct errtext why;
    char path[PATH_BYTES_MAX];
    const char *dir = given_value(g, "dir");
    const char *origin = given_value(g, "origin");
    if (dir == NULL || origin == NULL) {
        return complain(EXIT_USAGE, "keygen institution needs --origin NAME and --dir DIR");
    }
    err e = make_dir(dir, &why);
    if (!failed(e)) {
        e = write_ca(g, g->arguments[0], dir, &why);
    }
    if (!failed(e)) {
        join_path(path, dir, "governance.key");
        e = write_sign_key(g, "governance key", path, &why);
    }
    for (size_t i = 0; given_each(g, "officer", i) != NULL && !failed(e); i++) {
        char name[160];
        snprintf(name, sizeof name, "officer-%.100s.key", given_each(g, "officer", i));
        join_path(path, dir, name);
        e = write_sign_key(g, "officer's key", path, &why);
    }
    if (!failed(e)) {
        /* Later commands take institution and origin from here. */
        char facts[512];
        snprintf(facts, sizeof facts, "%s\n%s\n", g->arguments[0], origin);
        join_path(path, dir, "institution");
        e = keyfile_write_public(path, bytes_text(facts), &why);
    }
    return failed(e) ? complain_err(e, &why) : EXIT_DONE;
}

const struct command KEYGEN_INSTITUTION = {
    "keygen institution",
    "INSTITUTION",
    1,
    1,
    "Makes the keys of an institution: its certificate authority, governance and officers' keys",
    INSTITUTION_OPTIONS,
    "  concordat keygen institution ville --origin concordat.example/roquefort --dir keys/ville "
    "\\\n"
    "      --officer anna\n",
    run_institution};

/* ---- certificates ---- */

/* The institution's folder, as `keygen institution` made it. */
struct issuer {
    char institution[NAME_BYTES_MAX + 1];
    char origin[ORIGIN_BYTES_MAX + 1];
    struct cert *ca;
    struct cert_key *key;
};

static err issuer_read(const char *dir, struct issuer *ret, struct errtext *reterr)
{
    char path[PATH_BYTES_MAX];
    struct buf facts;
    *ret = (struct issuer){.ca = NULL};
    join_path(path, dir, "institution");
    buf_init(&facts, 1024);
    err e = keyfile_read_public(path, &facts, reterr);
    if (!failed(e)) {
        buf_put_u8(&facts, 0);
        int got = sscanf((char *)facts.data, "%64[^\n]\n%128[^\n]", ret->institution, ret->origin);
        e = got == 2
                ? e
                : err_fail(reterr, ERR_INVALID, "%s: two lines are expected: name, origin", path);
    }
    buf_done(&facts);
    TRY(e);
    join_path(path, dir, "ca.crt");
    TRY(cert_read(path, &ret->ca, reterr));
    join_path(path, dir, "ca.key");
    return cert_key_read(path, &ret->key, reterr);
}

static void issuer_done(struct issuer *i)
{
    cert_free(i->ca);
    cert_key_free(i->key);
}

/* Splits the --host values into DNS names and addresses. */
static void set_hosts(const struct given *g, struct cert_spec *spec, const char **dns,
                      const char **addresses)
{
    for (size_t i = 0; given_each(g, "host", i) != NULL && i < CERT_ALT_NAMES_MAX; i++) {
        const char *host = given_each(g, "host", i);
        bool numeric = strspn(host, "0123456789.") == strlen(host) || strchr(host, ':') != NULL;
        if (numeric) {
            addresses[spec->address_count++] = host;
        } else {
            dns[spec->dns_count++] = host;
        }
    }
    spec->dns_names = dns;
    spec->addresses = addresses;
}

/* The holder's key: a new one, or with --renew the one in the file, because the ledger names a node
 * by its key and a new certificate must carry the same. */
static err holder_key(const struct given *g, const char *path, struct cert_key **ret,
                      struct errtext *reterr)
{
    if (given_has(g, "renew")) {
        return cert_key_read(path, ret, reterr);
    }
    make_way(g, path);
    struct cert_key *key = cert_key_generate();
    err e = cert_key_write(key, path, reterr);
    if (failed(e)) {
        cert_key_free(key);
        return e;
    }
    *ret = key;
    return err_ok();
}

static err issue(const struct given *g, const struct issuer *by, enum identity_kind kind,
                 const char *dir, struct errtext *reterr)
{
    char path[PATH_BYTES_MAX];
    char file[32];
    const char *dns[CERT_ALT_NAMES_MAX];
    const char *addresses[CERT_ALT_NAMES_MAX];
    struct identity id = {.kind = kind};
    int64_t now = (int64_t)time(NULL);
    uint64_t days = LEAF_DAYS;
    if (!given_number(g, "days", 1, CA_DAYS, &days)) {
        return err_fail(reterr, ERR_INVALID, "--days");
    }
    snprintf(id.origin, sizeof id.origin, "%s", by->origin);
    snprintf(id.institution, sizeof id.institution, "%s", by->institution);
    snprintf(id.name, sizeof id.name, "%.64s", g->arguments[0]);
    struct cert_spec spec = {
        .identity = &id, .not_before_s = now - DAY_S, .not_after_s = now + (int64_t)days * DAY_S};
    set_hosts(g, &spec, dns, addresses);
    struct cert_key *key = NULL;
    struct cert *cert = NULL;
    snprintf(file, sizeof file, "%s.key", identity_kind_name(kind));
    join_path(path, dir, file);
    err e = holder_key(g, path, &key, reterr);
    if (!failed(e)) {
        e = cert_issue(&spec, (struct cert_issuer){by->ca, by->key}, key, &cert, reterr);
    }
    if (!failed(e)) {
        snprintf(file, sizeof file, "%s.crt", identity_kind_name(kind));
        join_path(path, dir, file);
        e = cert_write(cert, path, reterr);
    }
    cert_free(cert);
    cert_key_free(key);
    if (!failed(e)) {
        tell(g, "certificate", path);
    }
    return e;
}

static int run_issue(const struct given *g, enum identity_kind kind)
{
    struct errtext why;
    struct issuer by;
    char path[PATH_BYTES_MAX];
    const char *from = given_value(g, "institution-dir");
    const char *dir = given_value(g, "dir");
    if (from == NULL || dir == NULL) {
        return complain(EXIT_USAGE, "keygen %s needs --institution-dir DIR and --dir DIR",
                        identity_kind_name(kind));
    }
    err e = issuer_read(from, &by, &why);
    if (!failed(e)) {
        e = make_dir(dir, &why);
    }
    if (!failed(e)) {
        e = issue(g, &by, kind, dir, &why);
    }
    if (!failed(e) && kind == IDENTITY_NODE && !given_has(g, "renew")) {
        join_path(path, dir, "head.key");
        e = write_sign_key(g, "tree-head key", path, &why);
    }
    issuer_done(&by);
    return failed(e) ? complain_err(e, &why) : EXIT_DONE;
}

static int run_node(const struct given *g)
{
    return run_issue(g, IDENTITY_NODE);
}

static int run_client(const struct given *g)
{
    return run_issue(g, given_has(g, "officer") ? IDENTITY_OFFICER : IDENTITY_CLIENT);
}

static const struct option NODE_OPTIONS[] = {
    {"institution-dir", "DIR", "made by `keygen institution`", false},
    {"dir", "DIR", "where the files go; made if absent", false},
    {"host", "NAME", "DNS name or address under which the node is reached", true},
    {"days", "N", "how long the certificate holds; default 825", false},
    {"renew", NULL, "a new certificate for the key that is there", false},
    {"force", NULL, "replace keys that are there", false},
    {NULL, NULL, NULL, false},
};

const struct command KEYGEN_NODE = {
    "keygen node",
    "NODE",
    1,
    1,
    "Makes key and certificate of a node, and its tree-head key",
    NODE_OPTIONS,
    "  concordat keygen node ville --institution-dir keys/ville --dir node --host 127.0.0.1 \\\n"
    "      --host ledger.ville.example\n"
    "  concordat keygen node ville --institution-dir keys/ville --dir node --host 127.0.0.1 "
    "--renew\n",
    run_node};

static const struct option CLIENT_OPTIONS[] = {
    {"institution-dir", "DIR", "made by `keygen institution`", false},
    {"dir", "DIR", "where the files go; made if absent", false},
    {"officer", NULL, "a certificate for an officer", false},
    {"days", "N", "how long the certificate holds; default 825", false},
    {"renew", NULL, "a new certificate for the key that is there", false},
    {"force", NULL, "replace keys that are there", false},
    {NULL, NULL, NULL, false},
};

const struct command KEYGEN_CLIENT = {
    "keygen client",
    "NAME",
    1,
    1,
    "Makes key and certificate with which a client connects",
    CLIENT_OPTIONS,
    "  concordat keygen client metering --institution-dir keys/energie --dir client\n",
    run_client};

/* ---- signing keys ---- */

static int run_party(const struct given *g)
{
    struct errtext why;
    char name[80];
    const char *out = given_value(g, "out");
    snprintf(name, sizeof name, "%.64s.key", g->arguments[0]);
    err e = write_sign_key(g, "signing key", out == NULL ? name : out, &why);
    return failed(e) ? complain_err(e, &why) : EXIT_DONE;
}

static const struct option PARTY_OPTIONS[] = {
    {"out", "FILE", "default NAME.key; the public key goes to FILE.pub", false},
    {"force", NULL, "replace a key that is there", false},
    {NULL, NULL, NULL, false},
};

const struct command KEYGEN_PARTY = {"keygen party",
                                     "NAME",
                                     1,
                                     1,
                                     "Makes the Ed25519 key with which a party signs requests",
                                     PARTY_OPTIONS,
                                     "  concordat keygen party enedis --out enedis.key\n",
                                     run_party};
