// "lamina completion": prints the script that teaches a shell to complete lamina's words. The scripts ask the program
// itself, through System.CommandLine's directive [suggest:POSITION], and fall back to file names.
using System.CommandLine;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "completion".</summary>
internal static class CompletionVerb
{
    private static readonly Dictionary<string, string> Scripts = new()
    {
        ["bash"] = """
            # lamina's completion for bash: source this, or put it in ~/.local/share/bash-completion/completions/lamina
            _lamina() {
              local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]}
              program=${program/#\~/$HOME}
              mapfile -t COMPREPLY < <("$program" "[suggest:$COMP_POINT]" "$COMP_LINE" 2>/dev/null)
              mapfile -t COMPREPLY < <(compgen -W "${COMPREPLY[*]}" -- "$word")
            }
            complete -o default -F _lamina lamina
            """,
        ["zsh"] = """
            #compdef lamina
            # lamina's completion for zsh: source this after compinit, or put it in a folder of fpath as _lamina
            _lamina() {
              local -a found
              found=("${(@f)$("${(Q)words[1]}" "[suggest:$#BUFFER]" "$BUFFER" 2>/dev/null)}")
              found=(${found:#})
              compadd -a -- found
              (( $#found )) || _files
            }
            if [[ $funcstack[1] == _lamina ]]; then _lamina "$@"; else compdef _lamina lamina; fi
            """,
        ["fish"] = """
            # lamina's completion for fish: put this in ~/.config/fish/completions/lamina.fish
            function __lamina_complete
              set -l line (commandline -cp)
              set -l words (commandline -opc)
              set -l program (string replace -r '^~' $HOME -- $words[1])
              $program "[suggest:"(string length -- $line)"]" $line 2>/dev/null
            end
            complete -c lamina -a '(__lamina_complete)'
            """,
    };

    /// <summary>The script for a shell.</summary>
    public static string Script(string shell) => Scripts[shell] + "\n";

    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var shell = new Argument<string>("shell") { Description = "bash, zsh or fish.", HelpName = "SHELL" };
        shell.CompletionSources.Add([.. Scripts.Keys]);
        shell.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && !Scripts.ContainsKey(result.Tokens[0].Value))
                result.AddError($"there is no completion for '{result.Tokens[0].Value}'; there is {string.Join(", ", Scripts.Keys)}");
        });
        var verb = new Verb("completion", "Prints the script that lets a shell complete lamina's words.")
        {
            Sections = () => [new HelpSection("Example", [("source <(lamina completion bash)", "")])],
        };
        verb.Arguments.Add(shell);
        verb.SetAction(parsed =>
        {
            parsed.InvocationConfiguration.Output.WriteLine(Scripts[parsed.GetRequiredValue(shell)]);
            return ExitCode.Success;
        });
        return verb;
    }
}
