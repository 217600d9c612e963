/* CRC-64/NVME: the checksum that S3 keeps of whole objects, whatever the parts they came in. Reflected polynomial
 * 0x9a6c9329ac4bc9b5 (NVM Express NVM Command Set 1.0, 5.2.1.3.4), all ones before and after; of "123456789" it is
 * ae8b14860a799888. Not for finding what somebody changed on purpose. */
#ifndef SLUICE_BASE_CRC64_H
#define SLUICE_BASE_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* The sum of what came before (0 at the beginning), continued. */
uint64_t crc64_add(uint64_t crc, const void *p, size_t n);
/* The sum of two pieces, from the sums of each; second_bytes is below 2^61. */
uint64_t crc64_join(uint64_t first, uint64_t second, uint64_t second_bytes);

#endif
