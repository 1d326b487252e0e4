// A vCPU's state as it is written down: the architecture's, so that it is the same for every engine.
using Lamina.Core.Inspection;
using Lamina.Core.State;

namespace Lamina.Core.Engine;

/// <summary>The state of one vCPU as a part of its machine's.</summary>
/// <param name="vcpu">The vCPU, which does not run.</param>
public sealed class SavedVcpu(IVcpu vcpu) : ISavedUnit, IInspectedParked
{
    // XSAVE areas of the features that engines know take some 3 KiB (SDM vol. 1, 13.5); MSRs that are state are some dozens.
    private const int LongestXsave = 1 << 16, MostMsrs = 1024;

    private record struct Msr(uint Index, ulong Value);

    /// <inheritdoc/>
    public SavedKind Kind => new("x86-64 CPU", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        var state = new VcpuState();
        vcpu.GetState(state);
        Exchange(fields, state);
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        var state = new VcpuState();
        Exchange(fields, state);
        IReadOnlyList<string> refused;
        try
        {
            refused = vcpu.SetState(state);
        }
        catch (ArgumentException impossible)
        {
            throw new StateException($"is in a state that this machine's CPU cannot be in: {impossible.Message}", impossible);
        }
        if (refused.Count != 0) throw new StateException($"is in a state that this machine's CPU cannot be in: it does not take {string.Join(", ", refused)}");
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        var state = new VcpuState();
        vcpu.GetState(state);
        state.Say(node);
    }

    /// <summary>Writes a vCPU's state, or reads it into a fresh one.</summary>
    public static void Exchange(SavedFields fields, VcpuState state)
    {
        fields.Values(1, state.Gpr);
        (state.Rip, state.Rflags) = (Value(fields, 2, state.Rip), Value(fields, 3, state.Rflags));
        fields.Records(4, state.Segments, ExchangeSegment);
        (state.Gdtr, state.Idtr) = (Table(fields, 5, state.Gdtr), Table(fields, 6, state.Idtr));
        (state.Cr0, state.Cr2, state.Cr3, state.Cr4) = (Value(fields, 7, state.Cr0), Value(fields, 8, state.Cr2), Value(fields, 9, state.Cr3), Value(fields, 10, state.Cr4));
        ExchangePdptes(fields, state);
        (state.Efer, state.Xcr0) = (Value(fields, 13, state.Efer), Value(fields, 14, state.Xcr0));
        fields.Values(15, state.Dr);
        var xsave = state.Xsave;
        fields.Bytes(16, ref xsave, LongestXsave);
        state.Xsave = xsave;
        IReadOnlyList<Msr> msrs = [.. state.Msrs.Select(msr => new Msr(msr.Key, msr.Value))];
        fields.List(17, ref msrs, MostMsrs, ExchangeMsr);
        foreach (var (index, value) in msrs) state.Msrs[index] = value;
        var (activity, shadow, blocked, pending) = (state.Activity, state.Shadow, state.NmiBlocked, state.Pending);
        fields.Choice(18, ref activity);
        fields.Choice(19, ref shadow);
        fields.Value(20, ref blocked);
        fields.Record(21, ref pending, ExchangePending);
        (state.Activity, state.Shadow, state.NmiBlocked, state.Pending) = (activity, shadow, blocked, pending);
    }

    private static ulong Value(SavedFields fields, int number, ulong value)
    {
        fields.Value(number, ref value);
        return value;
    }

    private static DescriptorTableState Table(SavedFields fields, int number, DescriptorTableState table)
    {
        fields.Record(number, ref table, static (SavedFields inner, ref DescriptorTableState state) =>
        {
            inner.Value(1, ref state.Base);
            inner.Value(2, ref state.Limit);
        });
        return table;
    }

    // They are there or not, and four where they are.
    private static void ExchangePdptes(SavedFields fields, VcpuState state)
    {
        var there = state.Pdptes is not null;
        fields.Value(11, ref there);
        if (!there) return;
        state.Pdptes ??= new ulong[4];
        fields.Values(12, state.Pdptes);
    }

    private static void ExchangeSegment(SavedFields fields, ref SegmentState segment)
    {
        fields.Value(1, ref segment.Base);
        fields.Value(2, ref segment.Limit);
        fields.Value(3, ref segment.Selector);
        fields.Value(4, ref segment.Attributes);
    }

    private static void ExchangeMsr(SavedFields fields, ref Msr msr)
    {
        var (index, value) = (msr.Index, msr.Value);
        fields.Value(1, ref index);
        fields.Value(2, ref value);
        msr = new Msr(index, value);
    }

    private static void ExchangePending(SavedFields fields, ref PendingEvents events)
    {
        var (init, startUp, nmi, interrupt, trap) = (events.Init, events.StartUp, events.Nmi, events.Interrupt, events.DebugTrap);
        fields.Value(1, ref init);
        fields.Value(2, ref startUp);
        fields.Value(3, ref nmi);
        fields.Value(4, ref interrupt);
        fields.Value(5, ref trap);
        events = new PendingEvents { Init = init, StartUp = startUp, Nmi = nmi, Interrupt = interrupt, DebugTrap = trap };
    }
}
