/* concordat: the command of operators, contract authors and members. */
#include <signal.h>

#include "cli/command.h"

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    return command_main(argc, argv);
}
