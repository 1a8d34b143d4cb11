/* Spare: the buffers of streams. They outlive machines, so that a run costs what it uses. */
#ifndef MCQ_TESTS_SIM_SPARE_H
#define MCQ_TESTS_SIM_SPARE_H

#include <stdint.h>

#define MCQ_SIM_SPARE_CLASSES 32u

/* A buffer of 1 << class bytes, class >= 3. */
uint8_t *mcq_sim_spare_take(uint32_t class);
void mcq_sim_spare_give(uint32_t class, uint8_t *bytes);

#endif
