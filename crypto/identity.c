#include "crypto/identity.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/name.h"
#include "base/require.h"

static const char scheme[] = "concordat://";
static_assert(sizeof scheme - 1 == 12, "IDENTITY_URI_SIZE counts 12");

const char *identity_kind_name(enum identity_kind kind)
{
    switch (kind) {
    case IDENTITY_NODE:
        return "node";
    case IDENTITY_CLIENT:
        return "client";
    case IDENTITY_OFFICER:
        return "officer";
    }
    return "unknown";
}

static bool kind_of(struct bytes text, enum identity_kind *ret)
{
    static const enum identity_kind kinds[] = {IDENTITY_NODE, IDENTITY_CLIENT, IDENTITY_OFFICER};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (bytes_equal(text, bytes_text(identity_kind_name(kinds[i])))) {
            *ret = kinds[i];
            return true;
        }
    }
    return false;
}

/* Takes the last segment off *rest, with the slash before it. */
static bool take_last(struct bytes *rest, struct bytes *ret_segment)
{
    for (size_t i = rest->size; i > 0; i--) {
        if (rest->data[i - 1] == '/') {
            *ret_segment = bytes_of(rest->data + i, rest->size - i);
            rest->size = i - 1;
            return true;
        }
    }
    return false;
}

/* The name was checked to fit its limit. */
static void copy_text(char *ret, size_t room, struct bytes name)
{
    require(name.size < room);
    memcpy(ret, name.data, name.size);
    ret[name.size] = '\0';
}

err identity_parse(struct bytes uri, struct identity *ret, struct errtext *reterr)
{
    require(ret != NULL);
    require(uri.data != NULL || uri.size == 0);
    struct bytes begin = bytes_text(scheme);
    if (uri.size >= IDENTITY_URI_SIZE || !bytes_has_prefix(uri, begin)) {
        return err_fail(reterr, ERR_INVALID, "not a concordat:// identity");
    }
    struct bytes rest = bytes_of(uri.data + begin.size, uri.size - begin.size);
    struct bytes name, kind_text, institution;
    enum identity_kind kind = IDENTITY_NODE;
    if (!take_last(&rest, &name) || !take_last(&rest, &kind_text) ||
        !take_last(&rest, &institution)) {
        return err_fail(reterr, ERR_INVALID,
                        "an identity is concordat://origin/institution/kind/name");
    }
    if (!kind_of(kind_text, &kind)) {
        return err_fail(reterr, ERR_INVALID, "the kind is not node, client or officer");
    }
    if (!name_party_valid(name)) {
        return err_fail(reterr, ERR_INVALID, "the name is not 1 to %d of a-z 0-9 . _ : -",
                        NAME_BYTES_MAX);
    }
    if (!name_institution_valid(institution)) {
        return err_fail(reterr, ERR_INVALID, "the institution is not 1 to %d of a-z 0-9 -",
                        NAME_BYTES_MAX);
    }
    if (!name_origin_valid(rest)) {
        return err_fail(reterr, ERR_INVALID, "the origin is not a valid ledger origin");
    }
    ret->kind = kind;
    copy_text(ret->origin, sizeof ret->origin, rest);
    copy_text(ret->institution, sizeof ret->institution, institution);
    copy_text(ret->name, sizeof ret->name, name);
    return err_ok();
}

void identity_print(const struct identity *id, char ret_uri[IDENTITY_URI_SIZE])
{
    require(id != NULL);
    int length = snprintf(ret_uri, IDENTITY_URI_SIZE, "%s%s/%s/%s/%s", scheme, id->origin,
                          id->institution, identity_kind_name(id->kind), id->name);
    require(length > 0 && length < IDENTITY_URI_SIZE);
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
    require(a != NULL);
    require(b != NULL);
    return a->kind == b->kind && strcmp(a->origin, b->origin) == 0 &&
           strcmp(a->institution, b->institution) == 0 && strcmp(a->name, b->name) == 0;
}

/* The only URI among the names; any other number of them is refused. */
static err find_uri(const GENERAL_NAMES *names, struct bytes *ret, struct errtext *reterr)
{
    size_t found = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI) {
            continue;
        }
        const ASN1_STRING *text = name->d.uniformResourceIdentifier;
        int length = ASN1_STRING_length(text);
        require(length >= 0);
        *ret = bytes_of(ASN1_STRING_get0_data(text), (size_t)length);
        found++;
    }
    if (found != 1) {
        return err_fail(reterr, ERR_INVALID,
                        "the certificate has %zu alternative names that are URIs, not one", found);
    }
    return err_ok();
}

err identity_of_x509(const struct x509_st *x509, struct identity *ret, struct errtext *reterr)
{
    require(x509 != NULL);
    int critical = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, NULL);
    if (names == NULL) {
        ERR_clear_error();
        return err_fail(reterr, ERR_INVALID,
                        critical == -1 ? "the certificate has no alternative names"
                                       : "the alternative names are malformed or doubled");
    }
    struct bytes uri = {NULL, 0};
    err e = find_uri(names, &uri, reterr);
    if (!failed(e)) {
        /* An embedded NUL is an octet like others here, and no valid name holds one. */
        e = identity_parse(uri, ret, reterr);
    }
    GENERAL_NAMES_free(names);
    return e;
}
