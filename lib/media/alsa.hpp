// Sound cards. The only place that knows ALSA; its threads meet the loop through a short ring of samples.
#pragma once

#include <string>
#include <vector>

#include "media/device.hpp"

namespace offhook::media {

// `name` as ALSA knows it: "default", "hw:CARD=Device,DEV=0". A device with only one direction opens with
// that one. A card that vanishes later gives silence, is told by Device::watch and is retaken within 1.5 s of
// its return. To be called in the loop's thread. Errors: Errc::device, "default: No such file or directory".
Result<Device> open_alsa(const std::string &name);

} // namespace offhook::media
