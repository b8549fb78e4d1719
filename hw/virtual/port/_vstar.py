# `from machine import *`: the names that are loaded one by one otherwise.
import sys

_N = {
    "machine": "SPI SoftSPI I2C SoftI2C UART ADC ADCBlock DAC PWM Timer RTC WDT Signal time_pulse_us bitstream "
    "PWRON_RESET HARD_RESET WDT_RESET DEEPSLEEP_RESET SOFT_RESET PIN_WAKE EXT0_WAKE EXT1_WAKE TIMER_WAKE "
    "TOUCHPAD_WAKE ULP_WAKE SLEEP DEEPSLEEP soft_reset wake_reason deepsleep lightsleep freq idle disable_irq "
    "enable_irq",
    "time": "gmtime localtime mktime",
    "esp32": "NVS Partition RMT WAKEUP_ALL_LOW WAKEUP_ANY_HIGH HEAP_DATA HEAP_EXEC wake_on_ext0 wake_on_ext1 "
    "gpio_deep_sleep_hold wake_on_touch wake_on_ulp idf_heap_info",
}


def star(m):
    n = m.__name__
    if n in _N:
        r = [k for k in m.__dict__ if k[0] != "_" and k != "b"]
        for k in _N[n].split():
            setattr(m, k, getattr(m, k))
            r.append(k)
        m.__all__ = r
    sys.modules.pop("_vstar")
    return m
