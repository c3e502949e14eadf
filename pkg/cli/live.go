package cli

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/runlog"
)

// lively reports whether a picture of the run is shown below the lines: to a person, on
// a terminal that has nothing else to show.
func (d *deployment) lively(c *cli.Context) bool {
	if c.Bool("watch") { // which has a board of its own, or tells in lines
		return false
	}
	comes := d.Goal == hive.Exec && !c.Bool("json") && !c.Bool("group") || c.Bool("json-events")
	return !(comes && stdoutIsTerminal(c)) && !c.Bool("quiet") && onTerminal(c) && screen(c.App).CanShow() && moves(os.Getenv)
}

// ciVariables are those that tell of machines which keep what they see in a log.
var ciVariables = []string{"CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "JENKINS_URL", "TEAMCITY_VERSION", "TF_BUILD"}

// keepsLog reports whether what a terminal shows is kept in a log.
func keepsLog(getenv func(string) string) bool {
	for _, name := range ciVariables {
		if value := getenv(name); value != "" && value != "0" && value != "false" {
			return true
		}
	}
	return false
}

// moves reports whether a terminal can move its cursor, and somebody looks on.
func moves(getenv func(string) string) bool {
	return !keepsLog(getenv) && getenv("TERM") != "" && getenv("TERM") != "dumb"
}

// asciiOnly reports whether the locale says that the terminal shows no UTF-8.
func asciiOnly(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToLower(getenv(name)); value != "" {
			return !strings.Contains(value, "utf-8") && !strings.Contains(value, "utf8")
		}
	}
	return false
}

// show shows how far all is, until hide. To stop the program (^Z) takes that away, and to
// continue it brings it back.
func (d *deployment) show(c *cli.Context) (hide func()) {
	asker(c.App).Watch(func(node, what string) { d.report.Now().At(node, what) })
	hidePicture := d.report.Show()
	if !d.report.Live() {
		return hidePicture
	}
	release := d.stoppable(c)
	return func() {
		release()
		hidePicture()
	}
}

// stoppable has ^Z stop the program without a picture on the screen, until release.
func (d *deployment) stoppable(c *cli.Context) (release func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTSTP, syscall.SIGCONT)
	done := make(chan struct{})
	go func() {
		defer crash.Guard()
		var continued time.Time
		for {
			select {
			case s := <-signals:
				switch {
				case s == syscall.SIGTSTP:
					d.suspend(c)
					continued = time.Now()
				case time.Since(continued) > oneSignal: // stopped in another way
					screen(c.App).Redraw()
				}
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// suspend stops the program, without a picture that its shell would write into.
func (d *deployment) suspend(c *cli.Context) {
	ctx, cancel := context.WithTimeout(context.Background(), atOnce) // or nobody reads
	defer cancel()
	defer screen(c.App).Hold(ctx)()
	asker(c.App).Suspend()
}

// inActions reports whether what is told goes to a log of GitHub's.
func inActions(c *cli.Context) bool {
	return os.Getenv("GITHUB_ACTIONS") == "true" && !screen(c.App).InJSON()
}

// keepLog keeps all that is told where the user's programs keep such things.
func (d *deployment) keepLog(c *cli.Context) (end func()) {
	dir := runlog.Dir(os.Getenv)
	if dir == "" || keyWatching(c) {
		return func() {}
	}
	log, err := runlog.Open(dir, c.Command.Name, time.Now())
	if err != nil {
		d.tool.Log.Debug().Msg(err.Error())
		return func() {}
	}
	d.report.Keep(log)
	return func() { log.Close(interrupted) }
}
