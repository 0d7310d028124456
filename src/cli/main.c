/* The entry point: finds the command and runs it. */
#include <stdio.h>

int main(void)
{
    puts("weft");
    return 0;
}
