/* Run while building: prints files as one C source, an array each.
 *
 *     embed index.html verify.js > page.c  */
#include <stdio.h>
#include <string.h>

static int array_print(const char *path, int number)
{
    FILE *f = fopen(path, "rb");
    int octet = 0;
    int column = 0;
    if (f == NULL) {
        perror(path);
        return 1;
    }
    printf("static const unsigned char FILE_%d[] = {", number);
    while ((octet = getc(f)) != EOF) {
        printf("%s%d,", column++ % 24 == 0 ? "\n    " : "", octet);
    }
    printf("\n};\n");
    return fclose(f);
}

int main(int argc, char **argv)
{
    printf("/* Made by audit/embed.c. */\n#include \"audit/page.h\"\n\n");
    for (int i = 1; i < argc; i++) {
        if (array_print(argv[i], i) != 0) {
            return 1;
        }
    }
    printf("const struct page_file PAGE_FILES[] = {\n");
    for (int i = 1; i < argc; i++) {
        const char *slash = strrchr(argv[i], '/');
        printf("    {\"%s\", FILE_%d, sizeof(FILE_%d)},\n", slash == NULL ? argv[i] : slash + 1, i,
               i);
    }
    printf("};\nconst size_t PAGE_FILE_COUNT = %d;\n", argc - 1);
    return 0;
}
