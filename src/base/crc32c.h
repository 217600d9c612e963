/* CRC-32C (Castagnoli): the checksum of whole objects that servers of S3's protocol sum fastest, as processors have an instruction
 * for it. Reflected polynomial 0x82f63b78 (RFC 3720, B.4), all ones before and after; of "123456789" it is e3069283. Not for
 * finding what somebody changed on purpose. */
#ifndef SLUICE_BASE_CRC32C_H
#define SLUICE_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The sum of what came before (0 at the beginning), continued. */
uint32_t crc32c_add(uint32_t crc, const void *p, size_t n);

#endif
