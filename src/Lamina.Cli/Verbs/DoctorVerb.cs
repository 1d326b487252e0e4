// "lamina doctor": what this host offers to machines, as a table for a person or as JSON for a program.
using System.CommandLine;
using System.Text;
using System.Text.Json;
using Lamina.Doctor;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "doctor".</summary>
internal static class DoctorVerb
{
    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Print JSON instead of a table." };
        var verb = new Verb("doctor", "Shows what this host offers: engines and their speed, permissions, memory, disk.")
        {
            Sections = () =>
            [
                new HelpSection("Exit codes", [("0", "machines can run here"), ("1", "no engine works here")]),
                new HelpSection("Examples", [("lamina doctor", ""), ("lamina doctor --json | jq .engine", "the engine that auto chooses")]),
            ],
        };
        verb.AddGroup("Output", json);
        verb.SetAction(parsed =>
        {
            var report = HostReport.Create();
            parsed.InvocationConfiguration.Output.Write(parsed.GetValue(json) ? Json(report) : Table(report));
            return report.AutoEngine is null ? ExitCode.Host : ExitCode.Success;
        });
        return verb;
    }

    /// <summary>The table: a line a check, and below it the remedy.</summary>
    internal static string Table(HostReport report)
    {
        var text = new StringBuilder();
        var width = report.Checks.Max(check => check.Name.Length);
        foreach (var check in report.Checks)
        {
            text.Append(check.Name.PadRight(width)).Append("  ").Append(Word(check.Status).PadRight(7)).Append("  ").Append(check.Finding).Append('\n');
            if (check.Remedy is { } remedy) text.Append(' ', width + 11).Append("→ ").Append(remedy).Append('\n');
        }
        return text.ToString();
    }

    /// <summary>The same as one JSON object: "engine" (what auto chooses, or null) and "checks".</summary>
    internal static string Json(HostReport report)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            writer.WriteString("engine", report.AutoEngine);
            writer.WriteStartArray("checks");
            foreach (var check in report.Checks)
            {
                writer.WriteStartObject();
                writer.WriteString("name", check.Name);
                writer.WriteString("status", Word(check.Status));
                writer.WriteString("finding", check.Finding);
                writer.WriteString("remedy", check.Remedy);
                if (check.Value is { } value) writer.WriteNumber("value", Math.Round(value));
                else writer.WriteNull("value");
                writer.WriteEndObject();
            }
            writer.WriteEndArray();
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }

    private static string Word(HostCheckStatus status) => status switch
    {
        HostCheckStatus.Good => "good",
        HostCheckStatus.Limited => "limited",
        _ => "missing",
    };
}
