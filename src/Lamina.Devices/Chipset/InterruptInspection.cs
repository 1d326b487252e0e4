// The registers of the interrupt controllers for a person who looks: the images that move between engines, read out in words.
// Wherever the controllers are, they look the same.
using System.Buffers.Binary;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using static Lamina.Devices.Chipset.LocalApicSpec;

namespace Lamina.Devices.Chipset;

/// <summary>Says what interrupt controllers are in.</summary>
internal static class InterruptInspection
{
    private const int WordsOfVectors = 8, BytesOfRegister = 16;

    // SDM vol. 3, table 11-1: bytes from the start of the page.
    private const int TaskPriority = 0x80, Logical = 0xd0, Spurious = 0xf0, InService = 0x100, Requests = 0x200, Errors = 0x280, Command = 0x300, CommandHigh = 0x310,
        Lvt = 0x320, InitialCount = 0x380, CurrentCount = 0x390, Divide = 0x3e0;

    private static readonly string[] s_lvt = ["timer", "thermal", "performance", "lint0", "lint1", "error"];

    internal static void Say(InspectNode node, LocalApicImage image)
    {
        node.Kind = "local APIC";
        node.SayHex("base", image.Base);
        node.Say("enabled", (image.Base & BaseEnable) != 0);
        node.Say("x2apic", (image.Base & BaseX2Apic) != 0);
        node.SayHex("task priority", Register(image, TaskPriority));
        node.SayHex("logical destination", Register(image, Logical));
        node.SayHex("spurious vector", Register(image, Spurious));
        node.Say("in service", Vectors(image, InService));
        node.Say("requested", Vectors(image, Requests));
        node.SayHex("errors", Register(image, Errors));
        node.SayHex("command", Register(image, Command) | (ulong)Register(image, CommandHigh) << 32);
        for (var i = 0; i < s_lvt.Length; i++) node.SayHex($"lvt {s_lvt[i]}", Register(image, Lvt + (i * BytesOfRegister)));
        node.Say("initial count", (ulong)Register(image, InitialCount));
        node.Say("current count", (ulong)Register(image, CurrentCount));
        node.SayHex("divide", Register(image, Divide));
        node.Say("tsc deadline", image.TscDeadline);
    }

    internal static void Say(InspectNode node, in IoApicState state)
    {
        node.Kind = "I/O APIC";
        node.SayHex("id", state.Id);
        node.SayHex("select", state.Select);
        node.SayHex("lines", state.Lines);
        for (var i = 0; i < IoApicEntries.Count; i++) node.SayHex($"entry {i}", state.Entries[i]);
    }

    internal static void Say(InspectNode node, in Pic8259State state)
    {
        node.Kind = "8259";
        node.SayHex("requests", state.Requests);
        node.SayHex("in service", state.InService);
        node.SayHex("mask", state.Mask);
        node.SayHex("lines", state.Lines);
        node.SayHex("level triggered", state.LevelTriggered);
        node.SayHex("vector base", state.VectorBase);
        node.Say("initialised", state.Initialised);
    }

    private static uint Register(LocalApicImage image, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(image.Registers.AsSpan(offset));

    private static string Vectors(LocalApicImage image, int first)
    {
        var vectors = new List<string>();
        for (var vector = 0; vector < WordsOfVectors * 32; vector++)
            if ((Register(image, first + (vector / 32 * BytesOfRegister)) >> (vector % 32) & 1) != 0) vectors.Add($"0x{vector:x2}");
        return vectors.Count == 0 ? "none" : string.Join(' ', vectors);
    }
}
