// An EventProgram on its way: one machine, or two between which the vCPU moves at each kick.
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Xunit;

namespace Lamina.Tests.Engine.Shared.Guest;

internal sealed class EventRun : IDisposable
{
    private readonly EventProgram _program;
    private readonly SmallMachine[] _machines;
    private readonly bool _exact;
    private int _at, _asked, _halts;
    private bool _kicked, _ended;

    internal EventRun(EventProgram program, string from, string to)
    {
        _program = program;
        Model = new EventModel(program);
        _exact = EngineKind.IsExact(from) && EngineKind.IsExact(to);
        _machines = SmallMachine.Each(from == to ? [from] : [from, to]);
        foreach (var machine in _machines)
        {
            machine.Ended = () => { _ended = true; machine.Vcpu.Kick(); };
            machine.Logged = asked => Answer(machine, (int)asked);
        }
    }

    /// <summary>What must come of it.</summary>
    internal EventModel Model { get; }

    /// <summary>The machine that it is on.</summary>
    internal SmallMachine Machine => _machines[_at];

    /// <summary>What the machine raised, and how many handlers had run before.</summary>
    internal List<(int Handler, int At)> Raised { get; } = [];

    /// <summary>Runs it, and gives the state at its end.</summary>
    internal VcpuState ToEnd()
    {
        foreach (var machine in _machines) Assert.Empty(machine.Vcpu.SetState(_program.Load(machine)));
        while (true)
        {
            var exit = Machine.RunTo();
            Assert.True(exit == VcpuExit.Kicked && (_ended || _kicked), $"{exit} {Machine.Vcpu.Failure} at {Machine.State().Rip:x}, {Machine.State().Activity}, after {_asked} of its events");
            if (_ended) return Machine.State();
            _kicked = false;
            if (_machines.Length == 1) continue;
            var (state, image, before) = (Machine.State(), Machine.LocalApic, Machine);
            _at ^= 1;
            TransferTests.CopyMemory(before, Machine);
            Machine.Take(state);
            Machine.LocalApic = image;
        }
    }

    public void Dispose()
    {
        foreach (var machine in _machines) machine.Dispose();
    }

    private void Answer(SmallMachine machine, int asked)
    {
        if (asked == EventProgram.WantsNothing) return;
        var raise = _asked < _program.Raises.Count ? _program.Raises[_asked] : new EventRaise([], Nmi: false, Kick: false);
        _asked++;
        if (asked == EventProgram.AsksToHalt) EventProgram.Tell(machine, _exact && Model.Halts[_halts++]);
        else if (raise.Nmi)
        {
            Raised.Add((EventProgram.NmiHandler, EventProgram.LogLength(machine)));
            machine.Send(0, InterruptDeliveryMode.Nmi);
        }
        foreach (var vector in raise.Vectors)
        {
            Raised.Add((vector, EventProgram.LogLength(machine)));
            Assert.True(machine.Interrupt(vector));
        }
        if (!raise.Kick) return;
        _kicked = true;
        machine.Vcpu.Kick();
    }
}
