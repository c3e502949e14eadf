package closure

// BootParts are what of a system takes effect only when it is booted: links each, but
// the last, which is a file. A System's Boot has where each leads, and the last's content.
var BootParts = []string{"kernel", "initrd", "kernel-modules", "kernel-params"}

// RebootParts are the [BootParts] of which a system has other ones than the one that was
// booted, so that it takes full effect only after a reboot; none where that is not known.
func RebootParts(booted, new System) (parts []string) {
	if booted.Boot == nil || new.Boot == nil {
		return nil
	}
	for _, part := range BootParts {
		if booted.Boot[part] != new.Boot[part] {
			parts = append(parts, part)
		}
	}
	return parts
}

// Kernel is the version of the system's kernel, "" if that is not known.
func (s System) Kernel() string {
	_, version := split(storePath(s.Boot["kernel"]))
	return version
}

// RebootReason says for people why a reboot is wanted: the kernel's versions, or the
// parts that differ; "" where none is, or that is not known.
func RebootReason(booted, new System) string {
	text := ""
	for _, part := range RebootParts(booted, new) {
		was, is := booted.Kernel(), new.Kernel()
		switch {
		case part == "kernel" && was != "" && is != "" && was != is:
			return "kernel " + was + " → " + is // modules and initrd follow it
		case text != "":
			text += ", "
		}
		text += part
	}
	return text
}
