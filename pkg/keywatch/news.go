package keywatch

import (
	"fmt"
	"time"
)

// News is something that happened to a host on watch.
type News struct {
	Kind Kind
	Err  error         // why, of what is not as it should be
	For  time.Duration // how long the host was away; 0: not at all, or since now
	Next time.Duration // until it is tried again; of Failed
}

// Kind is what happened.
type Kind int

// The kinds of News.
const (
	Found    Kind = iota // a host that was away when the watch began is there
	Away                 // it cannot be reached, and is looked for
	Stranger             // what answers is not trusted to be the host, which is looked for
	Lost                 // its connection was lost
	Back                 // it is there again, and was not rebooted
	Rebooted             // it was
	Failed               // its keys could not be brought
	GivenUp              // it is looked for no more
)

// Bad reports whether somebody should look after it. Why keys could not be brought, who
// tried that has told.
func (n News) Bad() bool { return n.Kind == Away || n.Kind == Stranger || n.Kind == GivenUp }

// String says it for people.
func (n News) String() string {
	after := ""
	if n.For > 0 {
		after = " after " + n.For.Round(time.Second).String()
	}
	switch n.Kind {
	case Found:
		return "the host is there" + after
	case Away:
		return still(n.For) + fmt.Sprintf("looking for the host: %v", n.Err)
	case Stranger:
		return still(n.For) + fmt.Sprintf("looking for the host: what answers is not trusted to be it: %v", n.Err)
	case Lost:
		return "the connection was lost: looking for the host"
	case Back:
		return "back" + after + ", not rebooted"
	case Rebooted:
		return "rebooted, back" + after + ": bringing its keys again"
	case Failed:
		return "the keys are tried again in " + n.Next.Round(time.Second).String()
	default:
		return fmt.Sprintf("given up, as another attempt would fail alike: %v", n.Err)
	}
}

func still(long time.Duration) string {
	if long == 0 {
		return ""
	}
	return fmt.Sprintf("for %s ", long.Round(time.Second))
}
