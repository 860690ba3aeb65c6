/* docs_formats PAGE: the examples of docs/formats/rules.md against the code. The block `rules` of
 * the page is the contract; a line of the block `keys` is TEXT = HEX; the block `put` is the JSON
 * arguments of the event `put`, and the message, key and row that follow from them. Spaces in
 * hexadecimal are for the reader. Exit 1 names what differs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"
#include "crypto/sha256.h"
#include "rules/rules.h"

enum { PAGE_MAX = 65536 };

struct page {
    char text[PAGE_MAX];
    char parts[16][4096]; /* contents of blocks, as they are asked for */
    size_t part_count;
    struct rules_program *law;
    unsigned checks, failures;
};

static bool page_read(struct page *p, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return false;
    }
    size_t size = fread(p->text, 1, PAGE_MAX - 1, f);
    (void)fclose(f);
    p->text[size] = '\0';
    return size > 0 && size < PAGE_MAX - 1;
}

/* The content of the only block of that kind, or NULL. */
static char *page_block(struct page *p, const char *kind)
{
    char fence[32];
    (void)snprintf(fence, sizeof fence, "\n```%s\n", kind);
    const char *start = strstr(p->text, fence);
    const char *end = start == NULL ? NULL : strstr(start + strlen(fence), "\n```\n");
    if (end == NULL || p->part_count == sizeof p->parts / sizeof p->parts[0]) {
        return NULL;
    }
    start += strlen(fence);
    char *part = p->parts[p->part_count++];
    (void)snprintf(part, sizeof p->parts[0], "%.*s\n", (int)(end - start), start);
    return part;
}

static void page_check(struct page *p, const char *what, struct bytes have, const char *want)
{
    char digits[2048];
    char text[2049] = "";
    size_t size = 0;
    for (; *want != '\0' && size + 1 < sizeof digits; want++) {
        if (*want != ' ' && *want != '\n') {
            digits[size++] = *want;
        }
    }
    digits[size] = '\0';
    if (have.size < sizeof text / 2) {
        hex_encode(have, text);
    }
    p->checks++;
    if (strcmp(text, digits) != 0) {
        p->failures++;
        printf("%s:\n  the code says %s\n  the page says %s\n", what, text, digits);
    }
}

/* An issuance account has no text that is read, only one that is printed. */
static void check_issuance(struct page *p, const char *name, const char *want)
{
    struct buf key;
    struct buf text;
    uint8_t octets[64];
    size_t family = 0;
    char digits[129] = "";
    for (const char *c = want; *c != '\0' && strlen(digits) < 128; c++) {
        if (*c != ' ') {
            strncat(digits, c, 1);
        }
    }
    size_t size = strlen(digits) / 2;
    buf_init(&key, 64);
    buf_init(&text, 256);
    if (!failed(hex_decode(bytes_text(digits), octets, size))) {
        buf_put(&key, octets, size);
    }
    p->checks++;
    if (failed(rules_account_print(p->law, buf_bytes(&key), &text, &family)) ||
        !bytes_equal(buf_bytes(&text), bytes_text(name))) {
        p->failures++;
        printf("%s: the code prints '%.*s'\n", name, (int)text.size, (const char *)text.data);
    }
    buf_done(&key);
    buf_done(&text);
}

static void check_keys(struct page *p, char *lines)
{
    for (char *line = lines; *line != '\0';) {
        char *end = strchr(line, '\n');
        char *middle = strstr(line, " = ");
        struct errtext why;
        struct buf key;
        size_t index = 0;
        *end = '\0';
        *middle = '\0';
        buf_init(&key, 1024);
        if (strstr(line, "(issued)") != NULL) {
            check_issuance(p, line, middle + 3);
        } else {
            if (failed(rules_account_key(p->law, bytes_text(line), &key, &index, &why))) {
                buf_clear(&key);
                (void)!failed(rules_row_prefix(p->law, bytes_text(line), &key, &index, &why));
            }
            page_check(p, line, buf_bytes(&key), middle + 3);
        }
        buf_done(&key);
        line = end + 1;
    }
}

static bool no_row(void *ctx, struct bytes key, struct bytes *ret_row)
{
    return false;
}

static uint64_t no_rows(void *ctx, struct bytes prefix)
{
    return 0;
}

static void check_put(struct page *p, char *block)
{
    char *args_at = strstr(block, "\nargs = ");
    char *key_at = strstr(block, "\nkey = ");
    char *row_at = strstr(block, "\nrow = ");
    struct errtext why;
    struct buf args;
    struct arena arena;
    struct rules_out out;
    *args_at = *key_at = *row_at = '\0';
    buf_init(&args, 4096);
    arena_init(&arena, (size_t)1 << 26);
    if (failed(rules_args_from_json(p->law, bytes_text("put"), bytes_text(block), &args, &why))) {
        printf("put: %s\n", why.text);
    }
    page_check(p, "args", buf_bytes(&args), args_at + 8);
    struct bytes boss = bytes_text("boss");
    struct rules_event ev = {.name = bytes_text("put"),
                             .signers = &boss,
                             .signer_count = 1,
                             .args = buf_bytes(&args),
                             .now = {1782901230, 0}};
    struct rules_store store = {.get = no_row, .count = no_rows};
    rules_apply(p->law, &ev, &store, &arena, &out);
    if (out.row_count == 1) {
        page_check(p, "key", out.rows[0].key, key_at + 7);
        page_check(p, "row", out.rows[0].row, row_at + 7);
    } else {
        p->failures++;
        printf("put leaves no row: %.*s\n", (int)out.why.size, (const char *)out.why.data);
    }
    arena_done(&arena);
    buf_done(&args);
}

int main(int argc, char **argv)
{
    struct page *p = mem_new(1, sizeof *p);
    if (argc != 2 || !page_read(p, argv[1])) {
        printf("usage: docs_formats PAGE\n");
        return 2;
    }
    char *law = page_block(p, "rules");
    char *keys = page_block(p, "keys");
    char *put = page_block(p, "put");
    if (law == NULL || keys == NULL || put == NULL) {
        printf("%s: the blocks 'rules', 'keys' and 'put' are not all there\n", argv[1]);
        return 1;
    }
    struct rules_registry *registry = rules_registry_default();
    struct rules_env env = {registry, sha256};
    struct rules_diag diag;
    if (failed(rules_compile(&env, bytes_text(law), &p->law, &diag))) {
        printf("%s: the contract: line %u: %s\n", argv[1], diag.line, diag.message);
        return 1;
    }
    check_keys(p, keys);
    check_put(p, put);
    printf("docs_formats: %u checks, %u failures\n", p->checks, p->failures);
    bool well = p->failures == 0 && p->checks >= 9;
    rules_program_free(p->law);
    rules_registry_free(registry);
    free(p);
    return well ? 0 : 1;
}
