// Cases in lines of text: what was chosen on purpose is written out, the rest follows from the fill seed. A line means
// the same case as long as TestCase.Reset does; changing that voids the corpus.
using System.Globalization;
using System.Text;
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>Reads and writes corpus lines.</summary>
internal static class Corpus
{
    /// <summary>A case as one line.</summary>
    public static string Write(TestCase test)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"mode={test.Mode} fill={test.FillSeed:x} rip={test.Rip:x} flags={test.Rflags:x} undefined={test.UndefinedFlags:x} ever={test.EverUndefinedFlags:x} fs={test.FsBase:x} gs={test.GsBase:x}");
        text.Append(CultureInfo.InvariantCulture, $" code={test.CodeAt:x}+{test.CodeLength:x} gpr={string.Join(',', test.Gpr.Select(value => value.ToString("x", CultureInfo.InvariantCulture)))}");
        if (test.Image is { } image) text.Append(CultureInfo.InvariantCulture, $" image={image.At:x}:{image.Format}");
        foreach (var (at, bytes) in test.MemoryPatches) text.Append(CultureInfo.InvariantCulture, $" memory={at:x}:{Convert.ToHexString(bytes)}");
        foreach (var (at, bytes) in test.XsavePatches) text.Append(CultureInfo.InvariantCulture, $" xsave={at:x}:{Convert.ToHexString(bytes)}");
        return text.ToString();
    }

    /// <summary>The kind of code of a line.</summary>
    public static CodeMode ModeOf(string line) => Enum.Parse<CodeMode>(line["mode=".Length..line.IndexOf(' ')]);

    /// <summary>Fills a case from a line. Vector state beyond what this host and the guest have is left out: there the case's instruction is #UD.</summary>
    /// <exception cref="FormatException">The line is not one of <see cref="Write"/>.</exception>
    public static void Read(string line, TestCase test)
    {
        var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(field => field.Split('=', 2)).ToArray();
        test.Reset(Enum.Parse<CodeMode>(One("mode")), Hex(One("fill")));
        test.Rip = Hex(One("rip"));
        test.Rflags = Hex(One("flags"));
        test.UndefinedFlags = Hex(One("undefined"));
        test.EverUndefinedFlags = Hex(One("ever"));
        (test.FsBase, test.GsBase) = (Hex(One("fs")), Hex(One("gs")));
        var code = One("code").Split('+');
        (test.CodeAt, test.CodeLength) = ((int)Hex(code[0]), (int)Hex(code[1]));
        var registers = One("gpr").Split(',').Select(Hex).ToArray();
        if (registers.Length != 16 || test.CodeAt + test.CodeLength > CaseLayout.ImageSize) throw new FormatException("not a corpus line");
        registers.CopyTo(test.Gpr, 0);
        foreach (var field in fields)
        {
            if (field[0] is not ("memory" or "xsave" or "image")) continue;
            var patch = field[1].Split(':');
            if (field[0] == "image") test.Image = new StateImage((int)Hex(patch[0]), Enum.Parse<ImageFormat>(patch[1]));
            else if (field[0] == "memory") test.Patch((int)Hex(patch[0]), Convert.FromHexString(patch[1]));
            else test.PatchXsave((int)Hex(patch[0]), Convert.FromHexString(patch[1]));
        }

        string One(string name) => fields.First(field => field[0] == name)[1];
    }

    private static ulong Hex(string text) => ulong.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
