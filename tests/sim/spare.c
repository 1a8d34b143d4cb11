#include "tests/sim/spare.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/kernel.h"

/* A free one begins with the next one's address. */
static uint8_t *spare[MCQ_SIM_SPARE_CLASSES];

uint8_t *mcq_sim_spare_take(uint32_t class)
{
    uint8_t *bytes = spare[class];
    if (bytes == NULL) {
        bytes = malloc((size_t)1 << class);
        if (bytes == NULL)
            mcq_sim_fail("no memory for the simulation");
        return bytes;
    }
    memcpy(&spare[class], bytes, sizeof(void *));
    return bytes;
}

void mcq_sim_spare_give(uint32_t class, uint8_t *bytes)
{
    memcpy(bytes, &spare[class], sizeof(void *));
    spare[class] = bytes;
}
