/* CRC-16/CCITT: polynomial 0x1021, most significant bit first. */
#ifndef CRC_H
#define CRC_H

#include <stddef.h>
#include <stdint.h>

/** The value of no bytes. */
#define CRC16_START 0xFFFFu

/** The checksum of `count` more bytes after those that gave `crc` (`CRC16_START` for the first ones). */
uint16_t crc16_update(uint16_t crc, const uint8_t *bytes, size_t count);

/** The checksum of `count` bytes: that of "123456789" is 0x29B1. */
uint16_t crc16(const uint8_t *bytes, size_t count);

#endif
