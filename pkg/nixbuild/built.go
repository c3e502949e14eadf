package nixbuild

import "slices"

// mostBuilt is of how many builds of a process it is kept whom they are for.
const mostBuilt = 50_000

// Built is how many derivations were built, or are being built, that a node's system
// needs: here for this Builder, or on the node's host. What several nodes need counts
// for each. 0 if that is not known.
func (b *Builder) Built(node string) int {
	b.mu.Lock()
	request, there := b.nodes[node], b.there[node]
	var round *round
	earlier := 0
	if request != nil {
		round, earlier = request.round, request.earlier
	}
	b.mu.Unlock()
	switch {
	case there != nil:
		return there.builds()
	case round == nil:
		return 0
	}
	return earlier + round.builtFor(request)
}

// builtFor counts the builds that a request needs and that did not fail.
func (r *round) builtFor(request *request) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked {
		return 0 // whom what concerns
	}
	for _, path := range r.built {
		failed := slices.ContainsFunc(r.log.failures, func(f *failedDrv) bool { return f.path == path })
		if !failed && slices.Contains(r.concerned(path), request) {
			n++
		}
	}
	return n
}

// builds is how many builds of a host's began, without those that failed.
func (h *hostLog) builds() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(0, h.begun-len(h.log.failures))
}
