/* concordat completion bash: the shell completes commands and options from the same tables. */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

static const struct option OPTIONS[] = {{NULL, NULL, NULL, false}};

static void print_words(void)
{
    for (size_t i = 0; COMMANDS[i] != NULL; i++) {
        const struct command *c = COMMANDS[i];
        printf("    '%s') options='", c->name);
        for (const struct option *o = c->options; o->name != NULL; o++) {
            printf("--%s ", o->name);
        }
        printf("--profile --json --help' ;;\n");
    }
}

static void print_first(void)
{
    const char *last = "";
    for (size_t i = 0; COMMANDS[i] != NULL; i++) {
        const char *name = COMMANDS[i]->name;
        size_t size = strcspn(name, " ");
        if (strncmp(name, last, size) != 0 || strcspn(last, " ") != size) {
            printf("%.*s ", (int)size, name);
        }
        last = name;
    }
}

static int run(const struct given *g)
{
    if (strcmp(g->arguments[0], "bash") != 0) {
        return complain(EXIT_USAGE, "there is completion for bash only");
    }
    puts("_concordat() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} first=${COMP_WORDS[1]} second='' options=''");
    printf("  if [ \"$COMP_CWORD\" = 1 ]; then\n    COMPREPLY=($(compgen -W '");
    print_first();
    puts("help version' -- \"$word\"))\n    return\n  fi");
    for (size_t i = 0; COMMANDS[i] != NULL; i++) {
        const char *name = COMMANDS[i]->name;
        const char *space = strchr(name, ' ');
        if (space != NULL) {
            printf("  [ \"$first\" = %.*s ] && second+=' %s'\n", (int)(space - name), name,
                   space + 1);
        }
    }
    puts("  if [ \"$COMP_CWORD\" = 2 ] && [ -n \"$second\" ]; then\n"
         "    COMPREPLY=($(compgen -W \"$second\" -- \"$word\"))\n    return\n  fi\n"
         "  local name=$first\n"
         "  [[ \"$second \" == *\" ${COMP_WORDS[2]} \"* ]] && name=\"$first ${COMP_WORDS[2]}\"\n"
         "  case $name in");
    print_words();
    puts("  esac\n"
         "  if [[ $word == -* ]]; then\n    COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
         "  else\n    COMPREPLY=($(compgen -f -- \"$word\"))\n  fi\n}\n"
         "complete -F _concordat concordat");
    return EXIT_DONE;
}

const struct command COMPLETION = {"completion",
                                   "bash",
                                   1,
                                   1,
                                   "Prints a completion script for the shell",
                                   OPTIONS,
                                   "  source <(concordat completion bash)\n",
                                   run};
