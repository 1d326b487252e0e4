// What a processor must do with an EventProgram, step by step: which handler runs when, by SDM vol. 3, table 6-2 (INIT before NMI,
// and that before maskable interrupts), 6.7.1 (NMIs until IRET), 6.8.3 (shadows) and 11.8.3 (priorities). It knows nothing of any engine.
namespace Lamina.Tests.Engine.Shared.Guest;

internal sealed class EventModel
{
    private const int MostSteps = 20_000;

    private readonly EventProgram _program;
    private readonly Stack<(int Routine, int Step, bool Allowed)> _frames = new();
    private readonly SortedSet<int> _requested = [], _inService = [];
    private int _routine = EventProgram.Main, _step, _priority, _raised;
    private bool _allowed, _nmi, _nmiBlocked, _shadow, _init;

    /// <summary>Runs a program to its end.</summary>
    internal EventModel(EventProgram program)
    {
        _program = program;
        for (var n = 0; n < MostSteps; n++)
        {
            if (_init) Start();
            // The step's NOP ends the shadow of the step before, so what waits comes behind it.
            if (!_shadow && Deliver()) continue;
            _shadow = false;
            while (Deliver())
            {
            }
            if (!Execute()) return;
        }
        throw new InvalidOperationException("the program has no end");
    }

    /// <summary>Each handler that ran, and the step that it interrupted.</summary>
    internal List<(int Handler, int Routine, int Step)> Log { get; } = [];

    /// <summary>For each step that asked, whether it may halt.</summary>
    internal List<bool> Halts { get; } = [];

    /// <summary>Interrupts that wait at the end.</summary>
    internal IReadOnlyCollection<int> Waiting => _requested;

    private bool Deliverable => _requested.Count > 0 && _requested.Max >> 4 > Math.Max(_priority, _inService.Count > 0 ? _inService.Max >> 4 : 0);

    private bool Deliver()
    {
        if (_nmi && !_nmiBlocked)
        {
            (_nmi, _nmiBlocked) = (false, true);
            Enter(EventProgram.NmiHandler);
            return true;
        }
        if (!_allowed || !Deliverable) return false;
        var vector = _requested.Max;
        _requested.Remove(vector);
        _inService.Add(vector);
        Enter(vector);
        return true;
    }

    // All that waits is gone, and all that is on its way (SDM vol. 3, table 9-1 and 11.4.7.3).
    private void Start()
    {
        (_init, _nmi, _nmiBlocked, _allowed, _shadow, _priority) = (false, false, false, false, false, 0);
        _requested.Clear();
        _inService.Clear();
        _frames.Clear();
        Log.Add((EventProgram.Started, 0, 0));
        (_routine, _step) = (EventProgram.Main, 0);
    }

    private void Enter(int handler)
    {
        Log.Add((handler, _routine, _step));
        _frames.Push((_routine, _step, _allowed));
        (_routine, _step, _allowed) = (handler, 0, false);
    }

    private bool Execute()
    {
        var (step, argument) = _program.StepOf(_routine, _step++);
        switch (step)
        {
            case EventStep.ForbidInterrupts: _allowed = false; break;
            case EventStep.AllowInterrupts:
                _shadow = !_allowed;
                _allowed = true;
                break;
            case EventStep.AllowByFlags: _allowed = true; break;
            case EventStep.LoadStackSegment: _shadow = true; break;
            case EventStep.SetPriority: _priority = argument; break;
            case EventStep.Raise: Raise(nmi: true); break;
            case EventStep.SelfInterrupt: _requested.Add(argument); break;
            case EventStep.RaiseAndHalt:
                _allowed = false;
                Raise(nmi: false);
                Halts.Add(Deliverable && !_init);
                _allowed = Halts[^1];
                break;
            case EventStep.EndInterrupt:
                if (_inService.Count > 0) _inService.Remove(_inService.Max);
                break;
            case EventStep.Return when _routine == EventProgram.Main: return false;
            case EventStep.Return:
                (_routine, _step, _allowed) = _frames.Pop();
                _nmiBlocked = false;
                break;
        }
        return true;
    }

    private void Raise(bool nmi)
    {
        if (_raised >= _program.Raises.Count) return;
        var raise = _program.Raises[_raised++];
        _requested.UnionWith(raise.Vectors.Select(vector => (int)vector));
        if (nmi) _nmi |= raise.Nmi;
        _init = raise.HasInit;
    }
}
