/* The words of explanations in three languages, and how values are said. */
#include "rules/explain_words.h"

#include <string.h>

#include "base/require.h"
#include "rules/civil.h"
#include "rules/compile.h"

enum { ITEMS_MAX = 10, LANGUAGES = 3, DECIMALS_SHOWN = 6, VALUE_DEPTH_MAX = 4 };

static const char *const phrases[PHRASE_COUNT][LANGUAGES] = {
    [PHRASE_CONTRACT] = {"Contract", "Contrat", "Contract"},
    [PHRASE_VERSION] = {"version", "version", "versie"},
    [PHRASE_EVENT] = {"Request", "Demande", "Verzoek"},
    [PHRASE_LAW_OF] = {"judged by the rules of", "jugée selon les règles du",
                       "beoordeeld naar de regels van"},
    [PHRASE_ACCEPTED] = {"Decision: accepted.", "Décision : acceptée.", "Besluit: aanvaard."},
    [PHRASE_REFUSED] = {"Decision: refused under",
                        "Décision : refusée. Fondement :", "Besluit: afgewezen op grond van"},
    [PHRASE_FAULT] = {"Decision: none. The contract or its data is at fault, not the request",
                      "Décision : aucune. Le contrat ou ses données sont en défaut, pas la demande",
                      "Besluit: geen. De fout ligt in het contract of zijn gegevens, niet in het "
                      "verzoek"},
    [PHRASE_CLAUSE] = {"clause", "article", "artikel"},
    [PHRASE_LINE] = {"line", "ligne", "regel"},
    [PHRASE_LEDGER_RULE] = {"a rule of the ledger itself", "une règle du registre lui-même",
                            "een regel van het register zelf"},
    [PHRASE_REASON] = {"Reason", "Motif", "Reden"},
    [PHRASE_MISSING] = {"What was missing", "Ce qui manquait", "Wat ontbrak"},
    [PHRASE_REQUIRED] = {"required", "exigé", "vereist"},
    [PHRASE_FOUND] = {"found", "constaté", "gevonden"},
    [PHRASE_AGAINST] = {"against", "contre", "tegenover"},
    [PHRASE_DIFFERENCE] = {"difference", "écart", "verschil"},
    [PHRASE_DAYS] = {"days", "jours", "dagen"},
    [PHRASE_EXAMINED] = {"What was examined", "Ce qui a été examiné", "Wat is onderzocht"},
    [PHRASE_HOLDS] = {"fulfilled", "rempli", "voldaan"},
    [PHRASE_FAILS] = {"not fulfilled", "non rempli", "niet voldaan"},
    [PHRASE_CONDITION] = {"is it so that", "est-ce que", "is het zo dat"},
    [PHRASE_YES] = {"yes", "oui", "ja"},
    [PHRASE_NO] = {"no", "non", "nee"},
    [PHRASE_TIMES] = {"items gone through", "éléments parcourus", "doorlopen onderdelen"},
    [PHRASE_ROUNDED] = {"rounded to", "arrondi à", "afgerond op"},
    [PHRASE_SHARED] = {"shared out", "réparti", "verdeeld"},
    [PHRASE_WEIGHTS] = {"in proportion to", "au prorata de", "naar verhouding van"},
    [PHRASE_SHARES] = {"shares", "parts", "delen"},
    [PHRASE_PRICE] = {"market price", "prix du marché", "marktprijs"},
    [PHRASE_NO_PRICE] = {"no offer met a bid: no price",
                         "aucune offre n'a rencontré de demande : pas de prix",
                         "geen aanbod raakte een vraag: geen prijs"},
    [PHRASE_BOUGHT] = {"bought", "acheté", "gekocht"},
    [PHRASE_SOLD] = {"sold", "vendu", "verkocht"},
    [PHRASE_CHANGED] = {"What changed", "Ce qui a changé", "Wat is veranderd"},
    [PHRASE_UNCHANGED] = {"Nothing was changed.", "Rien n'a été modifié.",
                          "Er is niets veranderd."},
    [PHRASE_FROM] = {"from", "de", "van"},
    [PHRASE_TO] = {"to", "vers", "naar"},
    [PHRASE_ISSUED] = {"newly issued into", "nouvellement émis sur", "nieuw uitgegeven op"},
    [PHRASE_RETIRED] = {"taken out of circulation from", "retiré de la circulation depuis",
                        "uit omloop genomen van"},
    [PHRASE_ANNOUNCED] = {"announced", "annoncé", "aangekondigd"},
    [PHRASE_SCHEDULED] = {"set for", "fixé au", "vastgesteld op"},
    [PHRASE_WRITTEN] = {"recorded", "inscrit", "vastgelegd"},
    [PHRASE_REMOVED] = {"removed", "supprimé", "verwijderd"},
    [PHRASE_MORE] = {"more", "de plus", "meer"},
};

const char *explain_phrase(enum rules_language l, enum phrase phrase)
{
    require(phrase < PHRASE_COUNT);
    require(phrases[phrase][l] != NULL);
    return phrases[phrase][l];
}

bool rules_language_parse(struct bytes text, enum rules_language *ret)
{
    static const char *const names[LANGUAGES] = {
        [RULES_ENGLISH] = "en", [RULES_FRENCH] = "fr", [RULES_DUTCH] = "nl"};
    for (size_t i = 0; i < LANGUAGES; i++) {
        if (bytes_equal(text, bytes_text(names[i]))) {
            *ret = (enum rules_language)i;
            return true;
        }
    }
    return false;
}

/* ---- numbers ---- */

/* A whole number in front of a text; false: none, or beyond 128 bits. */
static bool take_number(struct bytes *text, int128 *ret)
{
    size_t i = text->size > 0 && text->data[0] == '-';
    size_t digits = i;
    int128 v = 0;
    for (; i < text->size && text->data[i] >= '0' && text->data[i] <= '9'; i++) {
        if (__builtin_mul_overflow(v, (int128)10, &v) ||
            __builtin_add_overflow(v, (int128)(text->data[i] - '0'), &v)) {
            return false;
        }
    }
    *ret = digits > 0 ? -v : v;
    bool any = i > digits;
    *text = bytes_of(text->data + i, text->size - i);
    return any;
}

static bool take(struct bytes *text, char c)
{
    if (text->size == 0 || text->data[0] != (uint8_t)c) {
        return false;
    }
    *text = bytes_of(text->data + 1, text->size - 1);
    return true;
}

struct amount {
    bool negative;
    int128 num, den;   /* num at least 0, den above 0 */
    unsigned decimals; /* as written; DECIMALS_SHOWN for one that is not in a measure */
    bool measured;     /* all its decimals are shown */
    struct bytes unit; /* " EUR", blank included; may be empty */
};

/* The digits behind the point. */
static bool take_decimals(struct bytes *text, struct amount *ret)
{
    for (; text->size > 0 && text->data[0] >= '0' && text->data[0] <= '9'; ret->decimals++) {
        if (__builtin_mul_overflow(ret->num, (int128)10, &ret->num) ||
            __builtin_add_overflow(ret->num, (int128)(text->data[0] - '0'), &ret->num) ||
            __builtin_mul_overflow(ret->den, (int128)10, &ret->den)) {
            return false;
        }
        *text = bytes_of(text->data + 1, text->size - 1);
    }
    return true;
}

/* "N.DDD UNIT", "N*P/Q UNIT" or "(N/D)*P/Q UNIT" (section 13.2). False: no amount. */
static bool amount_parse(struct bytes text, struct amount *ret)
{
    bool ratio = take(&text, '(');
    int128 factor = 0;
    *ret = (struct amount){.den = 1, .measured = !ratio};
    ret->negative = take(&text, '-');
    ret->decimals = ratio ? DECIMALS_SHOWN : 0;
    if (!take_number(&text, &ret->num) || ret->num < 0) {
        return false;
    }
    if (ratio && (!take(&text, '/') || !take_number(&text, &ret->den) || !take(&text, ')'))) {
        return false;
    }
    if (ret->den < 0) {
        ret->den = -ret->den;
        ret->negative = !ret->negative;
    }
    if (!ratio && take(&text, '.') && !take_decimals(&text, ret)) {
        return false;
    }
    if (take(&text, '*')) {
        bool whole = ret->measured && ret->decimals == 0;
        if (!take_number(&text, &factor) || factor < 0 ||
            __builtin_mul_overflow(ret->num, factor, &ret->num)) {
            return false;
        }
        bool divided = take(&text, '/');
        if (divided && (!take_number(&text, &factor) || factor < 0 ||
                        __builtin_mul_overflow(ret->den, factor, &ret->den))) {
            return false;
        }
        ret->measured = whole && !divided;
        ret->decimals = ret->measured ? 0 : DECIMALS_SHOWN;
    }
    ret->unit = text;
    return ret->den != 0 && (text.size == 0 || (text.size > 1 && text.data[0] == ' '));
}

static void put_digits(int128 v, struct buf *out)
{
    char text[NUM_TEXT_MAX];
    buf_put(out, text, num_print(v, text));
}

/* As decimal; "…" behind one that goes on. */
static void put_amount(enum rules_language l, const struct amount *a, struct buf *out)
{
    int128 rest = a->num % a->den;
    buf_put_text(out, a->negative && a->num != 0 ? "-" : "");
    put_digits(a->num / a->den, out);
    for (unsigned i = 0; i < a->decimals && (rest > 0 || a->measured); i++) {
        if (i == 0) {
            buf_put_text(out, l == RULES_ENGLISH ? "." : ",");
        }
        if (__builtin_mul_overflow(rest, (int128)10, &rest)) {
            break;
        }
        buf_put_u8(out, (uint8_t)('0' + (int)(rest / a->den)));
        rest %= a->den;
    }
    buf_put_text(out, rest > 0 ? "…" : "");
    buf_put_bytes(out, a->unit);
}

/* ---- days and instants ---- */

static void put_day(enum rules_language l, int32_t day, struct buf *out)
{
    static const char *const months[12][LANGUAGES] = {{"January", "janvier", "januari"},
                                                      {"February", "février", "februari"},
                                                      {"March", "mars", "maart"},
                                                      {"April", "avril", "april"},
                                                      {"May", "mai", "mei"},
                                                      {"June", "juin", "juni"},
                                                      {"July", "juillet", "juli"},
                                                      {"August", "août", "augustus"},
                                                      {"September", "septembre", "september"},
                                                      {"October", "octobre", "oktober"},
                                                      {"November", "novembre", "november"},
                                                      {"December", "décembre", "december"}};
    char text[CIVIL_DATE_TEXT_MAX];
    size_t size = civil_day_print(day, text);
    struct bytes parts = bytes_of(text, size);
    int128 year = 0;
    int128 month = 0;
    int128 date = 0;
    bool ok = take_number(&parts, &year) && take(&parts, '-') && take_number(&parts, &month) &&
              take(&parts, '-') && take_number(&parts, &date);
    require(ok && month >= 1 && month <= 12);
    put_digits(date, out);
    buf_put_text(out, l == RULES_FRENCH && date == 1 ? "er " : " ");
    buf_put_text(out, months[(size_t)month - 1][l]);
    buf_put_u8(out, ' ');
    put_digits(year, out);
}

void explain_put_text(enum rules_language l, struct bytes text, struct buf *out)
{
    int32_t day = 0;
    struct civil_time time;
    struct amount amount;
    if (text.size == 10 && civil_day_parse(text, &day) == NUM_OK) {
        put_day(l, day, out);
    } else if (text.size >= 20 && civil_time_parse(text, &time) == NUM_OK &&
               civil_day_parse(bytes_of(text.data, 10), &day) == NUM_OK) {
        put_day(l, day, out);
        buf_put_u8(out, ' ');
        buf_put(out, text.data + 11, text.size - 12); /* the time; then Z */
        buf_put_text(out, " UTC");
    } else if (amount_parse(text, &amount) && amount.unit.size > 0) {
        put_amount(l, &amount, out);
    } else {
        buf_put_bytes(out, text);
    }
}

/* ---- values ---- */

static void put_scalar(enum rules_language l, const struct raw *v, struct buf *out)
{
    if (v->kind == RAW_TEXT) {
        explain_put_text(l, v->as.text, out);
    } else if (v->kind == RAW_INT) {
        put_digits(v->as.number, out);
    } else if (v->kind == RAW_BOOL) {
        buf_put_text(out, explain_phrase(l, v->as.truth ? PHRASE_YES : PHRASE_NO));
    } else {
        buf_put_text(out, "…"); /* deeper than people read */
    }
}

/* A list or record inside an explicit stack; deeper ones are "…". */
struct open_value {
    const struct raw *v;
    size_t at, count;
};

static void open_put(const struct raw *v, struct open_value *ret, struct buf *out)
{
    bool list = v->kind == RAW_LIST;
    *ret = (struct open_value){v, 0, list ? v->as.list.count : v->as.record.count};
    buf_put_text(out, list ? "[" : "(");
}

void explain_put_value(enum rules_language l, const struct raw *v, struct buf *out)
{
    struct open_value open[VALUE_DEPTH_MAX];
    size_t depth = 0;
    if (v->kind != RAW_LIST && v->kind != RAW_RECORD) {
        put_scalar(l, v, out);
        return;
    }
    open_put(v, &open[depth++], out);
    while (depth > 0) {
        struct open_value *o = &open[depth - 1];
        bool list = o->v->kind == RAW_LIST;
        if (o->at == o->count || o->at == ITEMS_MAX) {
            if (o->at < o->count) {
                buf_printf(out, ", … %zu %s", o->count - o->at, explain_phrase(l, PHRASE_MORE));
            }
            buf_put_text(out, list ? "]" : ")");
            depth--;
            continue;
        }
        size_t i = o->at++;
        buf_put_text(out, i > 0 ? ", " : "");
        const struct raw *item = list ? &o->v->as.list.items[i] : &o->v->as.record.fields[i].value;
        if (!list) {
            buf_put_bytes(out, o->v->as.record.fields[i].name);
            buf_put_text(out, ": ");
        }
        if ((item->kind == RAW_LIST || item->kind == RAW_RECORD) && depth < VALUE_DEPTH_MAX) {
            open_put(item, &open[depth++], out);
        } else {
            put_scalar(l, item, out);
        }
    }
}

bool explain_put_difference(enum rules_language l, const struct raw *a, const struct raw *b,
                            struct buf *out)
{
    struct amount x;
    struct amount y;
    int32_t day_a = 0;
    int32_t day_b = 0;
    if (a->kind == RAW_INT && b->kind == RAW_INT) {
        int128 p = a->as.number;
        int128 q = b->as.number;
        put_digits(p > q ? p - q : q - p, out);
        return true;
    }
    if (a->kind != RAW_TEXT || b->kind != RAW_TEXT) {
        return false;
    }
    if (a->as.text.size == 10 && civil_day_parse(a->as.text, &day_a) == NUM_OK &&
        civil_day_parse(b->as.text, &day_b) == NUM_OK) {
        buf_printf(out, "%d %s", day_a > day_b ? day_a - day_b : day_b - day_a,
                   explain_phrase(l, PHRASE_DAYS));
        return true;
    }
    if (!amount_parse(a->as.text, &x) || !amount_parse(b->as.text, &y) || x.unit.size == 0 ||
        !bytes_equal(x.unit, y.unit) || !x.measured || !y.measured) {
        return false;
    }
    int128 p = 0;
    int128 q = 0;
    if (__builtin_mul_overflow(x.negative ? -x.num : x.num, y.den, &p) ||
        __builtin_mul_overflow(y.negative ? -y.num : y.num, x.den, &q) ||
        __builtin_sub_overflow(p > q ? p : q, p > q ? q : p, &x.num) ||
        __builtin_mul_overflow(x.den, y.den, &x.den)) {
        return false;
    }
    x.decimals = x.decimals > y.decimals ? x.decimals : y.decimals;
    x.negative = false;
    put_amount(l, &x, out);
    return true;
}

/* ---- the ledger's own reasons ---- */

/* What a reason begins with or ends with, in the other two languages; the rest stays. */
struct reason {
    const char *text;
    bool ends; /* else it begins */
    const char *french, *dutch;
};

static const struct reason reasons[] = {
    {"only a timer may do this", false, "seule une échéance peut le faire",
     "alleen een termijn kan dit doen"},
    {"one signer expected", false, "un seul signataire est attendu",
     "er wordt één ondertekenaar verwacht"},
    {"not signed by ", false, "il manque la signature de ", "niet ondertekend door "},
    {"timers are due first", false, "des échéances doivent être traitées d'abord",
     "eerst moeten verlopen termijnen worden behandeld"},
    {"the legal date is ", false, "la date applicable est ", "de toepasselijke datum is "},
    {": missing", true, " : absent", ": ontbreekt"},
    {": not declared", true, " : inconnu", ": onbekend"},
    {" is not declared", true, " n'existe pas dans ce contrat", " bestaat niet in dit contract"},
    {": given twice", true, " : donné deux fois", ": twee keer opgegeven"},
    {" expected", true, " attendu", " verwacht"},
    {": out of range", true, " : hors limites", ": buiten bereik"},
    {": not a party name", true, " : pas un nom de partie", ": geen naam van een partij"},
    {" is measured", true, " n'est mesuré", " wordt gemeten"},
};

static bool reason_fits(const struct reason *r, struct bytes why)
{
    struct bytes text = bytes_text(r->text);
    return r->ends ? why.size >= text.size &&
                         memcmp(why.data + why.size - text.size, text.data, text.size) == 0
                   : bytes_has_prefix(why, text);
}

/* "FAMILY[KEYS] would stand at AMOUNT"; false: another text. */
static bool put_limit(enum rules_language l, struct bytes why, struct buf *out)
{
    static const char between[] = " would stand at ";
    static const char *const words[LANGUAGES] = {between, " tomberait à ", " zou uitkomen op "};
    size_t size = sizeof between - 1;
    for (size_t i = 0; i + size <= why.size; i++) {
        if (memcmp(why.data + i, between, size) == 0) {
            buf_put(out, why.data, i);
            buf_put_text(out, words[l]);
            explain_put_text(l, bytes_of(why.data + i + size, why.size - i - size), out);
            return true;
        }
    }
    return false;
}

/* "the legal date cannot be found (KIND)"; false: another text. */
static bool put_undated(enum rules_language l, struct bytes why, struct buf *out)
{
    static const char begins[] = "the legal date cannot be found (";
    static const char *const words[LANGUAGES] = {begins, "la date applicable est introuvable (",
                                                 "de toepasselijke datum is niet te vinden ("};
    size_t size = sizeof begins - 1;
    if (!bytes_has_prefix(why, bytes_text(begins)) || why.data[why.size - 1] != ')') {
        return false;
    }
    buf_put_text(out, words[l]);
    explain_put_fault(l, bytes_of(why.data + size, why.size - size - 1), out);
    buf_put_text(out, ")");
    return true;
}

void explain_put_ledger_reason(enum rules_language l, struct bytes why, struct buf *out)
{
    if (put_limit(l, why, out) || put_undated(l, why, out)) {
        return;
    }
    for (size_t i = 0; l != RULES_ENGLISH && i < sizeof reasons / sizeof reasons[0]; i++) {
        const struct reason *r = &reasons[i];
        size_t size = strlen(r->text);
        if (reason_fits(r, why)) {
            struct bytes rest = bytes_of(why.data + (r->ends ? 0 : size), why.size - size);
            const char *words = l == RULES_FRENCH ? r->french : r->dutch;
            buf_put_text(out, r->ends ? "" : words);
            explain_put_text(l, rest, out);
            buf_put_text(out, r->ends ? words : "");
            return;
        }
    }
    buf_put_bytes(out, why);
}

struct named_words {
    const char *name;
    const char *words[LANGUAGES];
};

static void put_named(enum rules_language l, struct bytes name, const struct named_words *list,
                      size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(name, bytes_text(list[i].name))) {
            buf_put_text(out, list[i].words[l]);
            return;
        }
    }
    buf_put_bytes(out, name);
}

void explain_put_fault(enum rules_language l, struct bytes kind, struct buf *out)
{
    static const struct named_words words[] = {
        {"overflow",
         {"a number became too large", "un nombre est devenu trop grand",
          "een getal werd te groot"}},
        {"divide", {"a division by zero", "une division par zéro", "een deling door nul"}},
        {"row", {"a record is missing", "une inscription manque", "een vastlegging ontbreekt"}},
        {"item",
         {"an item of a list is missing", "un élément d'une liste manque",
          "een regel van een lijst ontbreekt"}},
        {"range",
         {"a date or time out of range", "une date ou une heure hors limites",
          "een datum of tijd buiten bereik"}},
        {"form", {"a text that cannot be read", "un texte illisible", "een onleesbare tekst"}},
        {"negative", {"an amount below zero", "un montant négatif", "een bedrag onder nul"}},
        {"weights",
         {"nothing in proportion to which to share", "aucun poids pour répartir",
          "niets om naar verhouding te verdelen"}},
        {"term",
         {"no value in force on that day", "aucune valeur en vigueur ce jour-là",
          "geen waarde van kracht op die dag"}},
        {"civil",
         {"no such day or zone", "un jour ou un fuseau inexistant",
          "geen bestaande dag of tijdzone"}},
    };
    put_named(l, kind, words, sizeof words / sizeof words[0], out);
}

void explain_put_mode(enum rules_language l, struct bytes mode, struct buf *out)
{
    static const struct named_words words[] = {
        {"half_up",
         {"to the nearest, half away from zero", "au plus proche, la moitié vers le haut",
          "op het dichtstbijzijnde, half naar boven"}},
        {"half_even",
         {"to the nearest, half to even", "au plus proche, la moitié au pair",
          "op het dichtstbijzijnde, half naar even"}},
        {"down", {"towards zero", "vers zéro", "naar nul toe"}},
        {"up", {"away from zero", "en s'éloignant de zéro", "van nul af"}},
        {"floor", {"downwards", "par défaut", "naar beneden"}},
        {"ceiling", {"upwards", "par excès", "naar boven"}},
    };
    put_named(l, mode, words, sizeof words / sizeof words[0], out);
}
