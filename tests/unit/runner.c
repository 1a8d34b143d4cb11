/* Criterion's runner starts a process for each test. Of these every leak is a failure; the runner,
 * which runs nothing of ours, at times leaks 48 bytes of Criterion's own when it is through. */
#include <stdlib.h>

int __lsan_is_turned_off(void);

/* LeakSanitizer asks this at the end of a process. Boxfort marks those it starts. */
int __lsan_is_turned_off(void)
{
    return getenv("BXFI_MAP") == NULL;
}
