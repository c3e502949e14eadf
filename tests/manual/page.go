// Package manual runs what the pages of docs/ show, so that they cannot promise
// what does not work. What becomes of a fenced block is said by a comment in the
// line before it, which readers do not see:
//
//	<!-- file NAME -->     it is written to a file
//	<!-- run [CODE...] --> its lines after "$ " are run, and the others are what they print;
//	                       without any "$ ", every line is run. They exit with 0, with CODE,
//	                       or each with its own
//	<!-- typed KEYS after TEXT --> its one line is run on a terminal, where KEYS and the
//	                       return key are typed once TEXT is shown
//	<!-- module -->        it is the body of a node, which must evaluate
//	<!-- hive -->          it is a hive, which must evaluate
//	<!-- shown: WHY -->    it is only shown
//
// In what is printed, … stands for anything, and a line of it alone for any lines.
// A comment that begins with "sh" in a line of its own is run unseen, and one
// "hosts N" says that the page is for a fleet.
package manual

import (
	"fmt"
	"strconv"
	"strings"
)

// Page is what a page shows, in its order.
type Page struct {
	Name  string
	Hosts int // how many hosts it is run among
	Steps []Step
}

// Step is a fenced block, or a script that readers do not see.
type Step struct {
	Line int
	How  string // file, run, typed, module, hive, shown or sh; "" where nothing is said
	Arg  string // what follows in the comment
	Text string
}

// Parse reads a page of Markdown.
func Parse(name, text string) (Page, error) {
	page := Page{Name: name}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		comment, isComment := strings.CutPrefix(line, "<!-- ")
		switch {
		case isComment && !strings.HasSuffix(line, "-->"):
			end := until(lines, i+1, "-->")
			if end < 0 {
				return page, fmt.Errorf("%s:%d: the comment has no end", name, i+1)
			}
			if comment == "sh" {
				page.Steps = append(page.Steps, Step{Line: i + 1, How: "sh", Text: strings.Join(lines[i+1:end], "\n")})
			}
			i = end
		case isComment && strings.HasPrefix(comment, "hosts "):
			n, err := strconv.Atoi(strings.TrimSuffix(comment[len("hosts "):], " -->"))
			if err != nil {
				return page, fmt.Errorf("%s:%d: %w", name, i+1, err)
			}
			page.Hosts = n
		case strings.HasPrefix(strings.TrimLeft(line, " "), "```"):
			fence := strings.Repeat(" ", len(line)-len(strings.TrimLeft(line, " "))) + "```"
			end := until(lines, i+1, fence)
			if end < 0 {
				return page, fmt.Errorf("%s:%d: the block has no end", name, i+1)
			}
			step := Step{Line: i + 1, Text: strings.Join(lines[i+1:end], "\n") + "\n"}
			if i > 0 {
				step.How, step.Arg = marker(lines[i-1])
			}
			page.Steps = append(page.Steps, step)
			i = end
		}
	}
	return page, nil
}

func until(lines []string, from int, what string) int {
	for i := from; i < len(lines); i++ {
		if lines[i] == what {
			return i
		}
	}
	return -1
}

// marker reads "<!-- HOW ARG -->".
func marker(line string) (how, arg string) {
	inside, found := strings.CutPrefix(strings.TrimSpace(line), "<!-- ")
	if !found {
		return "", ""
	}
	inside = strings.TrimSuffix(inside, " -->")
	how, arg, _ = strings.Cut(inside, " ")
	return strings.TrimSuffix(how, ":"), arg
}

// command is a line to run, and what it is to print.
type command struct {
	line string
	want []string
}

// commands are those of a block; a backslash at the end of a line joins it to
// the next.
func commands(text string) (list []command) {
	joining, bare := false, !strings.Contains("\n"+text, "\n$ ")
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		words, begins := strings.CutPrefix(line, "$ ")
		begins = begins || bare && line != ""
		switch {
		case joining:
			list[len(list)-1].line += "\n" + line
		case begins:
			list = append(list, command{line: words})
		case len(list) > 0 && strings.TrimSpace(line) != "":
			list[len(list)-1].want = append(list[len(list)-1].want, line)
		}
		joining = (begins || joining) && strings.HasSuffix(line, "\\")
	}
	return list
}
