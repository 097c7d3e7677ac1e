#include "crc.h"

uint16_t crc16_update(uint16_t crc, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        crc ^= (uint16_t)(bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)((crc << 1) ^ (crc & 0x8000u ? 0x1021u : 0u));
        }
    }
    return crc;
}

uint16_t crc16(const uint8_t *bytes, size_t count) { return crc16_update(CRC16_START, bytes, count); }
